// Writing: numbers, names of cells, and formulas as MathML.

function fraction(x) {
  for (let below = 2; below < 100; below++) {
    const above = Math.round(x * below);
    if (above && Math.abs(above / below - x) <= 1e-7 * Math.abs(x)) return `${above}/${below}`;
  }
  return "";
}

function writeNumber(x, digits = 6) {
  if (!Number.isFinite(x)) return String(x).replace("-", "−").replace("Infinity", "∞");
  if (Number.isInteger(x) && Math.abs(x) < 1e15) return String(x || 0).replace("-", "−");
  let short = String(Number(x.toPrecision(digits)));
  if (digits === 6 && short.length > 6) short = fraction(x) || short;
  return short.replaceAll("-", "−");
}

function unravel(position, shape) {
  const index = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index.unshift(position % shape[axis]);
    position = Math.floor(position / shape[axis]);
  }
  return index;
}

const ravel = (index, shape) => index.reduce((position, i, axis) => position * shape[axis] + i, 0);

// "x" and "01" stand together; between "a2" and "01" is a thin space.
const apart = (name, digits) =>
  /\d$/.test(name) && digits ? `${name}\u2009${digits}` : name + digits;

class Writing {
  constructor(data) {
    this.data = data;
  }

  // "δ_x" and "01": the array as it is written, and the printed part of the index.
  parts(name, position) {
    const { shape, lead } = this.data.arrays[name];
    const index = unravel(position, shape)
      .slice(lead)
      .map((i) => i + this.data.base);
    return [name === "δ" ? this.data.whole : name, index.join(this.data.spaced ? "," : "")];
  }

  text(name, position) {
    const [written, digits] = this.parts(name, position);
    if (!digits) return written;
    return written + (/^δ_[A-Za-z]$/.test(written) ? "" : "_") + digits;
  }

  html(name, position) {
    const [written, digits] = this.parts(name, position);
    const [head, ...rest] = written.split("_");
    return [node("i", {}, head), node("sub", {}, apart(rest.join("_"), digits))];
  }

  name(name) {
    const [head, ...rest] = (name === "δ" ? this.data.whole : name).split("_");
    return rest.length
      ? [node("i", {}, head), node("sub", {}, rest.join("_"))]
      : [node("i", {}, head)];
  }

  cell([name, position]) {
    const [written, digits] = this.parts(name, position);
    const [head, ...rest] = written.split("_");
    const low = rest.length ? [math("mi", rest.join("_"))] : [];
    if (digits) low.push(math("mn", apart(rest.join("_"), digits).slice(rest.join("_").length)));
    if (!low.length) return math("mi", head);
    return math("msub", math("mi", head), low.length > 1 ? math("mrow", ...low) : low[0]);
  }

  value(x) {
    const text = writeNumber(x);
    return text.startsWith("−") ? brackets(math("mn", text)) : math("mn", text);
  }
}

const SIGNS = {
  greater: ">",
  less: "<",
  greater_equal: "≥",
  less_equal: "≤",
  equal: "=",
  not_equal: "≠",
};
const FAILING = {
  greater: "≤",
  less: "≥",
  greater_equal: "<",
  less_equal: ">",
  equal: "≠",
  not_equal: "=",
};
const NAMES = { sigmoid: "σ", log: "ln", maximum: "max", minimum: "min" };

function math(tag, ...children) {
  return fill(document.createElementNS("http://www.w3.org/1998/Math/MathML", tag), children);
}

const operator = (sign) => math("mo", sign);

// A sign with space around it, although it is the first or last of its piece of MathML.
function between(sign, spaced) {
  const element = operator(sign);
  if (spaced) {
    element.setAttribute("form", "infix");
    element.setAttribute("lspace", sign === "=" ? "0.28em" : "0em");
    element.setAttribute("rspace", sign === "=" ? "0em" : "0.3em");
  }
  return element;
}
const brackets = (inside, open = "(", close = ")") =>
  math("mrow", operator(open), inside, operator(close));

// A whole formula in one row; `put` writes a cell, as a symbol or as its number.
function writeFormula(formula, put) {
  if (!formula.length) return math("mn", "0");
  const row = math("mrow");
  formula.forEach((term, i) => {
    if (i || term[0] < 0) row.append(operator(term[0] < 0 ? "−" : "+"));
    row.append(writeTerm(term, put));
  });
  return row;
}

// One product without its sign.
function writeTerm(term, put) {
  const factors = term.slice(1).filter((factor) => factor.op !== "won");
  const over = factors.filter((factor) => factor.op !== "reciprocal");
  const under = factors.filter((factor) => factor.op === "reciprocal");
  const row = [];
  const size = Math.abs(Number(term[0]));
  if (size !== 1 || !over.length) row.push(math("mn", writeNumber(size)));
  for (let i = 0; i < over.length; i++) {
    let count = 1;
    while (JSON.stringify(over[i]) === JSON.stringify(over[i + 1])) {
      i++;
      count++;
    }
    if (row.length) row.push(operator("·"));
    const factor = writeFactor(over[i], put);
    row.push(count > 1 ? math("msup", factor, math("mn", String(count))) : factor);
  }
  const above = row.length === 1 ? row[0] : math("mrow", ...row);
  return under.reduce((line, f) => math("mfrac", line, writeFormula(f.args[0], put)), above);
}

function writeFactor(factor, put) {
  if (Array.isArray(factor)) return put(factor);
  const { op, args } = factor;
  if (op === "holds" || op === "fails")
    return brackets(writeCondition(args[0], put, op === "fails"), "[", "]");
  const written = args.map((formula) => writeFormula(formula, put));
  if (op === "sum") return brackets(written[0]);
  if (op === "absolute") return brackets(written[0], "|", "|");
  if (op === "sqrt") return math("msqrt", written[0]);
  if (op === "exp") return math("msup", math("mi", "e"), written[0]);
  if (op === "power") return math("msup", brackets(written[0]), written[1]);
  if (SIGNS[op])
    return brackets(math("mrow", written[0], operator(SIGNS[op]), written[1]), "[", "]");
  const list = written.flatMap((w, i) => (i ? [operator(","), w] : [w]));
  return math("mrow", math("mi", NAMES[op] || op), brackets(math("mrow", ...list)));
}

function writeCondition(formula, put, fails) {
  const factor =
    formula.length === 1 && formula[0].length === 2 && formula[0][0] === 1 && formula[0][1];
  if (factor && SIGNS[factor.op]) {
    const [a, b] = factor.args.map((argument) => writeFormula(argument, put));
    return math("mrow", a, operator((fails ? FAILING : SIGNS)[factor.op]), b);
  }
  const written = writeFormula(formula, put);
  return fails ? math("mrow", operator("¬"), written) : written;
}
