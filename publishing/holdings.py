"""Whether all that a home holds reads back as it was written.

Belongs here: comparing what lies in a home with what receipts, manifests and checksums say.
Does not belong here: one published set (`verification`), landing damaged loads anew.
"""

from collections.abc import Iterator
from pathlib import Path

from ingestion.files import damaged
from ingestion.home import Home
from ingestion.landing.manifest import undamaged
from ingestion.landing.receipts import Receipt
from ingestion.landing.report import last_report
from ingestion.reasons import Rejection
from ingestion.shown import printable
from ingestion.stored import DamagedFile, Stored
from publishing.check_ins import CheckIn
from publishing.forecasts import Forecasts
from publishing.looks import Looks
from publishing.set_manifest import FILE_NAME
from publishing.verification import verify


def verify_home(home: Home) -> Iterator[str]:
    """Faults of everything in a home that is stored with its hash, a line each, with the remedy."""
    for path in sorted(home.archive.glob("*.json")):
        try:
            receipt = Receipt.read(path)
        except DamagedFile as error:
            yield str(error)
            continue
        if damaged(home.archive, {receipt.sha256: receipt.sha256}):
            reason = Rejection.ARCHIVE_DAMAGED
            name = printable(receipt.first_name)
            yield f"archive/{receipt.sha256[:12]}… ({name}): is damaged; {reason.remedy}"
    try:
        report = last_report(home)
    except DamagedFile as error:
        yield str(error)
        report = None
    for load in report.loads if report else []:
        if undamaged(home.landed / load) is None:
            yield f"landed/{load}: is damaged; the next run makes it anew from the archive"
    kept: list[tuple[Path, type[Stored]]] = [(path, Looks) for path in home.looks.glob("*.json")]
    kept += [(path, CheckIn) for path in home.check_ins.glob("*.json")]
    kept += [(path, Forecasts) for path in home.forecasts.rglob("*.json")]
    for path, kind in sorted(kept, key=lambda item: item[0]):
        try:
            kind.read(path)
        except DamagedFile as error:
            yield str(error)
    for folder in sorted(path.parent for path in home.published.glob(f"*/{FILE_NAME}")):
        if folder.is_symlink():
            continue
        try:
            faults = list(verify(folder))
        except DamagedFile as error:
            faults = [str(error)]
        for fault in faults:
            yield f"published/{folder.name}: {fault}; restore it from backup or delete the folder"
