"""Plots as SVG text: bars, and lines over a logarithmic axis. No library, so that a document can be made wherever Python runs."""

import html
import math

_COLOURS = ("#1f6feb", "#8250df", "#6e7781", "#bf8700", "#1a7f37", "#cf222e")
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 760, 320, 170, 40, 40


def bars(title, values):
    """Horizontal bars. values: [(label, number)]"""
    largest = max(value for _, value in values) or 1
    height = _TOP + 30 * len(values) + 10
    parts = [_text(10, 24, title, 15)]
    for row, (label, value) in enumerate(values):
        y = _TOP + 30 * row
        width = (_WIDTH - _LEFT - 110) * value / largest
        parts += [_text(10, y + 16, label), f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="22" fill="{_COLOURS[row % len(_COLOURS)]}"/>',
                  _text(_LEFT + width + 6, y + 16, f"{value:,.2f}")]
    return _page(height, parts)


def lines(title, x_label, series, y_label):
    """series: {label: [(x, y)]}, both above 0; both axes are logarithmic, y over whole decades."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    low, high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)) + 1e-9)
    high = max(high, low + 1)

    def place(x, y):
        span = math.log10(max(xs) / min(xs)) or 1
        return (_LEFT + (_WIDTH - _LEFT - 40) * math.log10(x / min(xs)) / span,
                _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (math.log10(y) - low) / (high - low))

    parts = [_text(10, 24, title, 15), _text(_LEFT, _HEIGHT - 6, x_label), _text(10, _TOP + 12, y_label)]
    for decade in range(low, high + 1):
        _, y = place(min(xs), 10 ** decade)
        parts += [f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - 40}" y2="{y:.1f}" stroke="#d0d7de"/>', _text(_LEFT - 70, y + 4, f"{10 ** decade:,.4g}")]
    for x in sorted(set(xs)):
        parts.append(_text(place(x, ys[0])[0] - 10, _HEIGHT - _BOTTOM + 16, f"{x:,.4g}", 11))
    for number, (label, points) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        placed = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in points)
        parts.append(f'<polyline points="{placed}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += ['<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"/>'.format(*place(x, y), colour) for x, y in points]
        parts.append(f'<text x="10" y="{_TOP + 34 + 18 * number}" font-size="12" fill="{colour}">{html.escape(label)}</text>')
    return _page(_HEIGHT, parts)


def _text(x, y, text, size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}">{html.escape(str(text))}</text>'


def _page(height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">\n'
            f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")
