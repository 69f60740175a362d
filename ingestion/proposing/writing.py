"""A proposed mapping as the text of a mapping file, and into the home.

Belongs here: how a proposal is written, with its evidence and questions; saving it.
Does not belong here: finding out what a file is (`proposal`).
"""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from ingestion.errors import UserError
from ingestion.files import write_atomically
from ingestion.home import Home
from ingestion.mappings.forms import SystemMapping
from ingestion.mappings.loading import SHIPPED, Mappings
from ingestion.proposing.findings import ColumnProposal, Proposal
from ingestion.proposing.proposal import propose
from ingestion.settings import read_yaml, validated
from ingestion.worker import READERS


def propose_for(home: Home, file: Path) -> Proposal:
    """Profile a file, in the bounded process. Raises FileRejected for what cannot be read."""
    file_kinds = Mappings.of(home, home.company()).file_kinds
    shipped = [
        validated(path.name, read_yaml(path), SystemMapping)
        for path in sorted(SHIPPED.glob("*.yml"))
    ]
    if not file.is_file():
        raise UserError(f"{file.name}: is not a plain file")
    with tempfile.TemporaryDirectory(prefix="mellantid-") as scratch:
        return READERS.call(
            propose,
            file.absolute(),
            file.name,
            file_kinds,
            shipped,
            Path(scratch),
            size=file.stat().st_size,
        )


def as_text(proposal: Proposal, system: str, key: str) -> str:
    """The whole mapping file."""
    return (
        f"{questions(proposal)}system: {system}\n"
        f"doc: Proposed from an export; see the questions above\n"
        f"{stages(proposal)}files:\n{file_block(proposal, file_key(key))}"
    )


def file_key(name: str) -> str:
    """What a kind of file is called in its mapping: the file's own name without its date."""
    undated = re.sub(r"[-_ ]?\d[\d-]*", "", name.lower())
    return re.sub(r"[^a-z0-9]+", "_", undated).strip("_") or "file"


def save_mapping(home: Home, proposal: Proposal, system: str, key: str) -> Path:
    """Write the proposal into mappings/<system>.yml, after the files that are there already.

    It is saved as far as it goes: what is missing is refused where mappings are used. Raises
    UserError if that file is not one that a kind of file can be added to.
    """
    path = home.mappings / f"{system}.yml"
    if (SHIPPED / path.name).exists():
        raise UserError(f"--system {system}: that mapping is shipped; choose a name of your own")
    key = file_key(key)
    if path.exists():
        before = path.read_text(encoding="utf-8")
        known = read_yaml(path)
        if list(known)[-1:] != ["files"] or key in known["files"]:
            raise UserError(
                f"mappings/{path.name} has that kind of file already, or does not end with "
                "`files`; choose another --system"
            )
        text = f"{before.rstrip()}\n\n{questions(proposal)}{file_block(proposal, key)}"
        if proposal.stages and "stages" not in known:
            text = text.replace("\nfiles:\n", f"\n{stages(proposal)}files:\n", 1)
    else:
        text = as_text(proposal, system, key)
    _parsed(text, path)
    write_atomically(path, text)
    return path


def _parsed(text: str, path: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mellantid-") as scratch:
        copy = Path(scratch) / path.name
        copy.write_text(text, encoding="utf-8")
        return read_yaml(copy)


def file_block(proposal: Proposal, key: str) -> str:
    """The part of a mapping file that maps this kind of file, with the evidence as comments."""
    lines = [f"  {key}:", f"    doc: {proposal.table.replace('_', ' ').capitalize()}"]
    if proposal.file_format not in ("csv", "xlsx"):
        lines.append(f"    formats: [{proposal.file_format}]")
    required = ", ".join(f"[{_scalar(h)}]" for h in proposal.required)
    lines.append(f"    headers: [{required}]")
    if proposal.dialect:
        lines.append("    dialect:")
        for name, (value, why) in proposal.dialect.items():
            lines.append(f"      {name}: {json.dumps(value, ensure_ascii=False)}  # {why}")
    if proposal.history and proposal.history[0] == "snapshots":
        lines.append(f"    known_at: {{column: {_scalar(proposal.history[1])}}}")
    elif proposal.known_at:
        lines.append(f"    known_at: {{file_name: '{proposal.known_at}'}}")
    kind, dated_by = proposal.history or ("", "")
    lines.append("    tables:")
    if kind == "moves":
        lines += _moved_lines(proposal)
    lines.append(f"      {proposal.table}:  # {proposal.table_evidence}")
    lines.append("        columns:")
    for column in proposal.columns:
        if kind != "steps" or column.column not in STEPWISE:
            lines += _column_lines(column)
    lines += [
        f"          # {column} is missing, and there must be one." for column in proposal.missing
    ]
    if kind == "steps":
        lines += _step_lines(proposal, dated_by)
    if proposal.unused:
        lines.append("    # Not asked for:")
        lines += [f"    #   {_one_line(unused)}" for unused in proposal.unused]
    return "\n".join(lines) + "\n"


# What may differ between the rows of one deal where each row is a step of it.
STEPWISE = ("stage_id", "seller_id", "amount", "segment", "source", "expected_close_on", "status")


def _moved_lines(proposal: Proposal) -> list[str]:
    """The deals that a log of moves tells of: no more is known of them than that they are."""
    (deal,) = (c for c in proposal.columns if c.column == "deal_id")
    return [
        "      deals:  # whose moves the log tells",
        "        columns:",
        f"          deal_id: {_scalar(deal.cell['from'][0])}",
        '          pipeline_id: {constant: "default"}',
    ]


def _step_lines(proposal: Proposal, dated_by: str) -> list[str]:
    """A row for each step as changes: of the stage, and of what else the row says."""
    columns = {c.column: c.cell["from"][0] for c in proposal.columns if "from" in c.cell}
    fields = {columns[name]: name for name in STEPWISE if name in columns}
    values = ", ".join(f"{_scalar(header)}: {name}" for header, name in fields.items())
    pattern = "|".join(re.escape(header) for header in fields)
    return [
        "      deal_changes:",
        f"        unpivot: {_scalar(f'(?P<field>{pattern})')}",
        "        columns:",
        f"          deal_id: {_scalar(columns['deal_id'])}",
        f"          field: {{captured: field, values: {{{values}}}}}",
        "          new_value: {unpivoted: true}",
        f"          occurred_at: {_scalar(dated_by)}",
        "          fidelity: {constant: event_log}",
    ]


def _column_lines(column: ColumnProposal) -> list[str]:
    parts = [
        f"{k}: " + (f"[{', '.join(map(_scalar, v))}]" if isinstance(v, list) else _scalar(v))
        for k, v in column.cell.items()
    ]
    lines = [f"          # {column.evidence}"]
    if not column.values:
        return [*lines, f"          {column.column}: {{{', '.join(parts)}}}"]
    lines.append(f"          {column.column}:")
    lines += [f"            {part}" for part in parts]
    lines.append("            values:")
    for label, value in column.values.items():
        lines.append(f"              {_scalar(label)}: {'null' if value is None else value}")
    return lines


def stages(proposal: Proposal) -> str:
    """The `stages` of a mapping file."""
    rows = [
        f"  - {{pipeline_id: default, stage_id: {_scalar(s['stage_id'])}, "
        f"label: {_scalar(s['stage_id'])}, position: {s['position']}, kind: {s['kind']}}}\n"
        for s in proposal.stages
    ]
    return "stages:\n" + "".join(rows) if rows else ""


def questions(proposal: Proposal) -> str:
    """The open questions, as comments."""
    return "".join(
        f"# QUESTION {i}. {_one_line(q)}\n" for i, q in enumerate(proposal.questions, start=1)
    )


def _one_line(text: str) -> str:
    """A comment that a header with line breaks or escape codes cannot leave."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _scalar(text: Any) -> str:
    return json.dumps(str(text), ensure_ascii=False)
