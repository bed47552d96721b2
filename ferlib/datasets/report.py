"""What `ferlib corpus check` found: problems, notices, and what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One thing worth saying about one place: file, line or row number if there is one (from 1), reason."""

    file: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


def _printable(text: object) -> str:
    """``text`` with what is not UTF-8, as in the names of some files, written as escapes."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass
class Report:
    """Problems: unreadable or contradictory content (exit 1).  Notices: good to know (exit 1 when strict)."""

    corpus: str
    source: Path
    problems: list[Finding] = field(default_factory=list)
    notices: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def problem(self, file: str | Path, line: int | None, reason: str) -> None:
        """Note unreadable or contradictory content."""
        self.problems.append(Finding(_printable(file), line, _printable(reason)))

    def notice(self, file: str | Path, line: int | None, reason: str) -> None:
        """Note a difference from the official release that leaves the data usable."""
        self.notices.append(Finding(_printable(file), line, _printable(reason)))

    def compare(self, found: Mapping[str, int], official: Mapping[str, int], what: str = "{}") -> None:
        """A notice for each count that is not that of the official release; ``what`` names what was counted."""
        for name, n in official.items():
            if found[name] != n:
                reason = f"{found[name]:,} {what.format(name)}; the official release has {n:,}"
                self.notice(self.source.name, None, reason)

    def exit_code(self, strict: bool = False) -> int:
        """0 clean, 1 bad; notices count as bad when ``strict``."""
        return int(bool(self.problems) or (strict and bool(self.notices)))

    def text(self, limit: int | None = None) -> str:
        """Counts, problems and notices in lines; of each kind at most ``limit`` findings are shown."""
        lines = [f"{self.corpus} at {self.source}"]
        lines += [f"  {name}: {count:,}" for name, count in self.counts.items()]
        for kind, found in (("problem", self.problems), ("notice", self.notices)):
            shown = found if limit is None else found[:limit]
            lines += [f"{kind}: {finding}" for finding in shown]
            if len(shown) < len(found):
                lines.append(f"... and {len(found) - len(shown):,} more {kind}s")
        lines.append(f"{len(self.problems)} problem(s), {len(self.notices)} notice(s)")
        return "\n".join(lines)
