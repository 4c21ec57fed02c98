"""A chart of horizontal bars as SVG: one number for each name."""

_WIDTH, _LEFT, _ROW = 360, 110, 26


def bars(title: str, values: list[tuple[str, float]]) -> str:
    """The longest bar is the greatest value."""
    most = max(value for _, value in values) or 1.0
    body = [f'<text x="{_LEFT}" y="18">{title}</text>']
    for number, (name, value) in enumerate(values, start=1):
        top, length = number * _ROW, max(value / most * _WIDTH, 1)
        body.append(f'<rect x="{_LEFT}" y="{top}" width="{length:.0f}" height="18" fill="#06c"/>')
        body.append(f'<text x="{_LEFT - 6}" y="{top + 14}" text-anchor="end">{name}</text>')
        body.append(f'<text x="{_LEFT + length + 6:.0f}" y="{top + 14}">{value:,.1f}</text>')
    size = f'viewBox="0 0 {_LEFT + _WIDTH + 60} {(len(values) + 1) * _ROW + 8}"'
    style = 'font-family="sans-serif" font-size="12" fill="#333"'
    lines = "\n".join(body)
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{paper}\n<g {style}>\n{lines}\n</g>\n</svg>\n'
