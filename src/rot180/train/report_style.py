"""The page of `report.html`: fixed text and style; `report` fills the gaps."""

__all__ = ["PAGE"]

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}: rot180 report</title>
<style>
:root {{ --paper: #f6f8fa; --card: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d8dee4;
  --bar: #0072b2; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --paper: #0d1117; --card: #161b22; --ink: #e6edf3; --soft: #9aa4af; --line: #30363d;
    --bar: #56b4e9; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 24px 16px 48px; max-width: 1100px; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }}
h1 {{ margin: 0 0 16px; font-size: 26px; }}
h2 {{ margin: 0 0 12px; font-size: 18px; }}
section {{ margin-top: 16px; padding: 16px; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; overflow-x: auto; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; }}
.tile {{ padding: 12px 16px; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }}
.tile b {{ display: block; font-size: 24px; }}
.tile span, .soft, footer {{ color: var(--soft); font-size: 14px; }}
@media (min-width: 900px) {{ .pair {{ display: grid; grid-template-columns: auto 1fr;
  column-gap: 16px; }} }}
.config {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 16px;
  align-items: start; }}
.config caption {{ text-align: left; color: var(--soft); }}
.config th {{ text-align: left; font-weight: 400; white-space: nowrap; }}
img {{ display: block; max-width: 100%; height: auto; }}
table {{ border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 4px 12px 4px 0; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: top; }}
th:first-child, .left, .config td {{ text-align: left; }}
.config td {{ overflow-wrap: anywhere; }}
td i {{ display: block; height: 3px; background: var(--bar); min-width: 0; margin-left: auto; }}
pre {{ margin: 0; font-size: 13px; line-height: 1.35; }}
footer {{ margin-top: 24px; }}
</style>
</head>
<body>
<h1>{title}</h1>
<div class="tiles">{tiles}</div>
<section><h2>Curves</h2>{curves}</section>
<div class="pair">
<section><h2>Classes</h2>
<table><thead><tr><th>class</th><th>images</th><th>recognised</th><th>right when said</th>
<th class="left">taken for</th></tr></thead><tbody>{classes}</tbody></table></section>
<section><h2>Confusion</h2>{confusion}</section>
</div>
<section><h2>Mistakes</h2>{mistakes}</section>
<section><h2>Model</h2>{summary}</section>
<section><h2>Settings</h2><div class="config">{config}</div></section>
<footer>{attribution}Made by rot180 {version}. The weights are in model.safetensors; the training
continues from its last checkpoint with <code>rot180 train --resume</code> and this folder.</footer>
</body>
</html>
"""
