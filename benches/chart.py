#!/usr/bin/env python3
"""Draws scale.csv as scale.svg: CPU seconds, bytes on the wire and memory against the number of files, both axes
logarithmic. Plain text out of a few numbers; no package is needed.

    benches/chart.py SCALE.csv SCALE.svg
"""

import csv
import math
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 260, 60, 60, 90
PANELS = (
    ("client CPU, seconds", "client_cpu_s", 1),
    ("appliance CPU, seconds", "server_cpu_s", 1),
    ("on the wire, MB", "wire_bytes", 1e6),
    ("peak memory, MB", "peak_rss_mb", 1),
)
LINES = {"initial": "#b45309", "1 % pushed": "#1d4ed8", "no change": "#15803d"}


def decades(values):
    """The powers of ten that enclose some values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def short(power):
    """A power of ten as a label."""
    if power >= 3:
        return f"{10 ** (power % 3)}{' kMG'[power // 3]}"
    return f"{10 ** power:g}"


def panel(rows, title, column, divisor, left):
    """One diagram."""
    points = {run: [(float(row["files"]), float(row[column]) / divisor) for row in rows
                    if row["run"] == run and row[column] not in ("", None)] for run in LINES}
    known = [point for line in points.values() for point in line if point[1] > 0]
    if not known:
        return
    (x_low, x_high), (y_low, y_high) = decades([x for x, _ in known]), decades([y for _, y in known])

    def across(value):
        return left + (math.log10(value) - x_low) / (x_high - x_low) * WIDTH

    def down(value):
        return TOP + HEIGHT - (math.log10(value) - y_low) / (y_high - y_low) * HEIGHT

    yield f'<text x="{left}" y="{TOP - 12}" font-weight="bold">{escape(title)}</text>'
    for power in range(x_low, x_high + 1):
        x = across(10 ** power)
        yield f'<path d="M{x:.1f} {TOP}V{TOP + HEIGHT}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{short(power)}</text>'
    for power in range(y_low, y_high + 1):
        y = down(10 ** power)
        yield f'<path d="M{left} {y:.1f}H{left + WIDTH}" stroke="#ddd"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{short(power)}</text>'
    for run, line in points.items():
        line = sorted(point for point in line if point[1] > 0)
        if not line:
            continue
        path = "L".join(f"{across(x):.1f} {down(y):.1f}" for x, y in line)
        yield f'<path d="M{path}" fill="none" stroke="{LINES[run]}" stroke-width="2"/>'
        for x, y in line:
            yield (f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="3.5" fill="{LINES[run]}">'
                   f"<title>{escape(run)}, {x:.0f} files: {y:.3g}</title></circle>")


def draw(source, target):
    """Reads the CSV file `source` and writes the plot `target`."""
    with open(source, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    width = LEFT + len(PANELS) * (WIDTH + GAP) - GAP + 30
    height = TOP + HEIGHT + 50
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
             f'height="{height}" font-family="sans-serif" font-size="12" fill="#222">',
             f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for number, (run, colour) in enumerate(LINES.items()):
        x = LEFT + number * 130
        parts.append(f'<path d="M{x} 18h24" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 30}" y="22">{escape(run)}</text>')
    for number, (title, column, divisor) in enumerate(PANELS):
        parts += panel(rows, title, column, divisor, LEFT + number * (WIDTH + GAP))
    parts.append(f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">files on the appliance</text></svg>')
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join(parts) + "\n")


def main():
    """See above."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    draw(sys.argv[1], sys.argv[2])


if __name__ == "__main__":
    main()
