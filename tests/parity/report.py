"""The table of a parity check."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Report:
    """Rows of (what, largest difference, bound); passes when every row does."""

    rows: list[tuple[str, float, float]] = field(default_factory=list)

    def add(self, name: str, difference: float, bound: float) -> None:
        self.rows.append((name, float(difference), bound))

    @property
    def failures(self) -> list[str]:
        return [name for name, difference, bound in self.rows if not difference <= bound]

    @property
    def passed(self) -> bool:
        return bool(self.rows) and not self.failures

    def __str__(self) -> str:
        lines = [f'{"compared":44} {"difference":>12} {"bound":>9}']
        for name, difference, bound in self.rows:
            verdict = '' if difference <= bound else '  FAIL'
            lines.append(f'{name:44} {difference:12.3g} {bound:9.3g}{verdict}')
        lines.append(f'{len(self.rows)} compared, {len(self.failures)} failed')
        return '\n'.join(lines)
