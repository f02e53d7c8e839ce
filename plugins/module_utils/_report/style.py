# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's style sheet. Colours are named once, for light and for dark; a test computes their contrast.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

LIGHT = {
    "page": "#f7f7f5",
    "surface": "#ffffff",
    "text": "#22272c",
    "muted": "#58626c",
    "line": "#dfe3e6",
    "accent": "#22577a",
    "track": "#eaedef",
    "ok": "#1d5b3a",
    "ok-soft": "#e8f3ec",
    "findings": "#744a00",
    "findings-soft": "#fbf1dc",
    "unknown": "#573d87",
    "unknown-soft": "#f0ebf8",
    "failed": "#952020",
    "failed-soft": "#fbe9e8",
    "skipped": "#4c5761",
    "skipped-soft": "#edf0f2",
    "overdue": "#8f3a12",
    "overdue-soft": "#fdeee4",
}

DARK = {
    "page": "#15181b",
    "surface": "#1c2024",
    "text": "#e3e6e9",
    "muted": "#a3acb5",
    "line": "#31373d",
    "accent": "#8fc1e3",
    "track": "#2b3036",
    "ok": "#93d3ac",
    "ok-soft": "#1b3125",
    "findings": "#ecc57c",
    "findings-soft": "#352b16",
    "unknown": "#c9b6f0",
    "unknown-soft": "#2c2540",
    "failed": "#f6a39c",
    "failed-soft": "#3c1f1e",
    "skipped": "#b5bec7",
    "skipped-soft": "#292f35",
    "overdue": "#f5b48d",
    "overdue-soft": "#3a2518",
}

#: Shares of a table that a column may have, in percent.
_WIDTHS = range(10, 51)

_STATES = ("ok", "findings", "unknown", "failed", "skipped", "overdue")

_BODY = """\
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--text);overflow-wrap:anywhere;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header.top,main,footer{max-width:68rem;margin:0 auto;padding:0 1.5rem}
header.top{padding-top:2.5rem}
h1{font-size:1rem;font-weight:600;color:var(--muted);margin:0}
h2{font-size:1.25rem;font-weight:600;line-height:1.3;margin:0 0 .35rem}
h3{font-size:1.02rem;font-weight:600;margin:1.8rem 0 .5rem}
h3 .number{color:var(--muted);font-weight:500;margin-right:.5rem}
p{margin:.25rem 0}
a{color:var(--accent);text-underline-offset:.15em}
a:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
section{margin-top:2.75rem;scroll-margin-top:1rem}
.headline{font-size:1.75rem;font-weight:600;line-height:1.25;letter-spacing:-.01em;margin:.3rem 0 .5rem}
.soft,.note{color:var(--muted)}
.small,.note{font-size:.875rem}
.name{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.82em}
.attention{list-style:none;margin:.9rem 0 0;padding:0;border-left:3px solid var(--overdue)}
.attention li{padding:.15rem 0 .15rem .8rem}
nav{margin-top:1.1rem;font-size:.9375rem}
nav a{display:inline-block;margin-right:1.1rem;padding:.2rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin:1.75rem 0 0;padding:0}
.tile{background:var(--surface);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;display:flex;
flex-direction:column-reverse;justify-content:flex-end}
.tile dt{color:var(--muted);font-size:.875rem;line-height:1.35}
.tile dd{margin:0;font-size:1.6rem;font-weight:600;line-height:1.25;font-variant-numeric:tabular-nums}
.tile dd small{font-size:1rem;font-weight:500;color:var(--muted)}
.frame{background:var(--surface);border:1px solid var(--line);border-radius:8px;margin-top:.75rem;overflow:hidden}
table{border-collapse:collapse;table-layout:fixed;width:100%;font-size:.9375rem}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{text-align:left;vertical-align:top;padding:.6rem .9rem;border-top:1px solid var(--line)}
thead th{font-size:.8125rem;font-weight:600;color:var(--muted);border-top:0;white-space:nowrap}
tbody th{font-weight:600}
table.rows tbody:first-of-type tr:first-child>*{border-top:1px solid var(--line)}
tr.activity>th{background:var(--page)}
tr.absent>th{background:none}
.line{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:baseline;gap:.1rem 1rem}
table.headless thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table.headless tbody:first-of-type tr:first-child>*{border-top:0}
th p,th .note{font-weight:400}
tr.absent>th{font-weight:400;color:var(--text)}
td p{margin:.2rem 0 0}
td p:first-child{margin-top:0}
time,.figure{white-space:nowrap;font-variant-numeric:tabular-nums}
.moving{white-space:nowrap}
.badge{display:inline-block;border-radius:999px;padding:.06rem .6rem;font-size:.8125rem;font-weight:600;line-height:1.5;
white-space:nowrap}
.spark{display:block;height:24px;max-width:100%}
.bar{display:block;width:100%;min-width:4rem;height:6px;margin-top:.35rem;border-radius:3px}
.v-track{fill:var(--track)}
.good{background:var(--surface);border:1px solid var(--line);border-radius:8px;padding:.7rem 1rem;margin-top:.75rem}
.plain{margin:.2rem 0 0;padding-left:1.1rem}
footer{margin-top:3.5rem;padding-bottom:3rem;color:var(--muted);font-size:.875rem}
footer p{max-width:46rem}
"""

#: A table becomes a stack of cards: each cell tells its column by itself.
_PHONE = """\
@media screen and (max-width:54rem){
header.top,main,footer{padding-left:1rem;padding-right:1rem}
header.top{padding-top:1.5rem}
.headline{font-size:1.4rem}
.tiles{grid-template-columns:1fr 1fr;gap:.5rem}
section{margin-top:2.25rem}
table,tbody,tr,th,td{display:block;width:auto}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:.15rem .9rem;border-top:0}
tr{padding:.65rem 0;border-top:1px solid var(--line)}
table.rows tbody:first-of-type tr:first-child>*{border-top:0}
tbody:first-of-type tr:first-child{border-top:0}
tr.activity{padding:0}
tr.activity>th{padding:.6rem .9rem}
td[data-label]{position:relative;padding-left:7rem;min-height:1.8rem}
td[data-label]::before{content:attr(data-label);position:absolute;left:.9rem;width:5.6rem;color:var(--muted);
font-size:.8125rem;line-height:1.75}
.tile:last-child:nth-child(odd){grid-column:1/-1}
td.empty{display:none}
.bar{min-width:0}
}
"""

_PRINT = """\
@media print{
html{font-size:9.5pt}
body{background:#fff;font-size:1rem}
table,.small,.note,.tile dt{font-size:.9rem}
th,td{padding:.35rem .5rem}
.tiles{grid-template-columns:repeat(5,1fr)}
.badge{font-size:.8rem;padding:0 .4rem}
nav{display:none}
header.top,main,footer{max-width:none;padding:0}
section{margin-top:1.2rem}
tr,.tile{break-inside:avoid}
h2,h3,tr.activity{break-after:avoid}
.badge,.attention,rect{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""


def _variables(colours: dict[str, str]) -> str:
    return ":root{" + ";".join(f"--{name}:{value}" for name, value in colours.items()) + "}"


def style_sheet() -> str:
    states = "".join(
        f".b-{state}{{color:var(--{state});background:var(--{state}-soft)}}\n.v-{state}{{fill:var(--{state})}}\n"
        for state in _STATES
    )
    widths = "".join(f".w{percent}{{width:{percent}%}}\n" for percent in _WIDTHS)
    return (
        "\n:root{color-scheme:light dark}\n"
        f"{_variables(LIGHT)}\n"
        f"@media screen and (prefers-color-scheme:dark){{{_variables(DARK)}}}\n"
        f"{_BODY}{widths}{states}{_PHONE}{_PRINT}"
    )
