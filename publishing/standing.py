"""Whether a run would make again what stands.

Belongs here: finding the set with the same inputs. Does not belong here: choosing inputs
(`inputs`), what a run does then (`day`).
"""

from datetime import date

from ingestion.files import damaged
from ingestion.home import Home
from ingestion.stored import DamagedFile
from publishing.inputs import choose_inputs
from publishing.set_manifest import SetManifest
from publishing.sets import PublishedSets


def standing_set(home: Home, as_of: date, loads: list[str]) -> SetManifest | None:
    """The set that a build of `as_of` from these loads would make again; None if it would not.

    Nor does it stand where a run was refused or rolled back since, or where it or the status is
    damaged: a build heals that. Raises DamagedFile for receipts and landed files.
    """
    sets = PublishedSets(home)
    of_day = [(folder, found) for folder, found in sets.manifests() if found.as_of == as_of]
    current = sets.whole_current()
    if not of_day or current is None or _is_refused(sets):
        return None
    folder, manifest = of_day[-1]
    is_of_past_day = as_of < current.as_of <= home.company().today()
    if folder != sets.current() and not is_of_past_day:
        return None
    inputs = choose_inputs(home, loads, as_of, "as_known")
    is_same = manifest.inputs_hash == inputs.content_hash()
    return manifest if is_same and not damaged(folder, manifest.files) else None


def _is_refused(sets: PublishedSets) -> bool:
    try:
        return sets.status().refused is not None
    except DamagedFile:
        return True
