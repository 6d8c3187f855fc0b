// Arithmetic: the terms of the law, evaluated. A formula is a list of [coefficient, factor, ...];
// a factor is [array, position], or {op, args}. This is rot180.explain.formula once more.

const positive = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x,
    sum = x; // all terms have one sign: nothing cancels
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const FUNCTIONS = {
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  erf,
  sigmoid: positive,
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  absolute: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  power: Math.pow,
  maximum: Math.max,
  minimum: Math.min,
  reciprocal: (x) => 1 / x,
  sum: (x) => x,
  greater: (a, b) => Number(a > b),
  less: (a, b) => Number(a < b),
  greater_equal: (a, b) => Number(a >= b),
  less_equal: (a, b) => Number(a <= b),
  equal: (a, b) => Number(a === b),
  not_equal: (a, b) => Number(a !== b),
  holds: (c) => Number(Boolean(c)),
  fails: (c) => Number(!c),
};

class Arithmetic {
  constructor(data) {
    this.data = data;
    this.engine = {};
    for (const [name, array] of Object.entries(data.arrays)) {
      this.engine[name] = array.numbers.map(Number);
    }
    this.given = Object.keys(data.arrays).filter((name) => !data.order.includes(name));
    this.reset();
  }

  reset() {
    this.values = {};
    for (const name in this.engine) this.values[name] = [...this.engine[name]];
    this.compute();
    this.first = {};
    for (const name in this.values) this.first[name] = [...this.values[name]];
  }

  compute() {
    for (const name of this.data.order) {
      const chosen = this.data.choices[name];
      const formulas = this.data.formulas[name];
      this.values[name] = chosen
        ? chosen.cells.map((_, i) => this.values[chosen.from][this.winner(name, i)])
        : formulas.map((formula) => this.evaluate(formula));
    }
  }

  // The cell that a max or min takes: the first largest or smallest.
  winner(name, position) {
    const { from, largest, cells } = this.data.choices[name];
    const better = (a, b) => (largest ? a > b : a < b);
    const x = this.values[from];
    return cells[position].reduce((best, cell) => (better(x[cell], x[best]) ? cell : best));
  }

  evaluate(formula) {
    let sum = 0;
    for (const term of formula) if (this.counts(term)) sum += this.product(term);
    return sum;
  }

  // A branch that was not taken counts 0, also where it is infinite.
  counts(term) {
    return term
      .slice(1)
      .every(
        (factor) =>
          Array.isArray(factor) ||
          !["holds", "fails", "won"].includes(factor.op) ||
          this.factor(factor),
      );
  }

  product(term) {
    return term
      .slice(1)
      .reduce((product, factor) => product * this.factor(factor), Number(term[0]));
  }

  factor(factor) {
    if (Array.isArray(factor)) return this.values[factor[0]][factor[1]];
    if (factor.op === "won") {
      const [name, position, , cell] = factor.args;
      return Number(this.winner(name, position) === cell);
    }
    return FUNCTIONS[factor.op](...factor.args.map((formula) => this.evaluate(formula)));
  }

  // What a cell is made of now: the terms that count.
  terms(name, position) {
    if (this.data.choices[name]) {
      return [[1, [this.data.choices[name].from, this.winner(name, position)]]];
    }
    const formula = this.data.formulas[name];
    return formula ? formula[position].filter((term) => this.counts(term)) : null;
  }

  // Cells of computed arrays that are not what the engine found with the numbers that were given.
  differing() {
    let count = 0;
    for (const name of this.data.order) {
      const eps = this.data.arrays[name].dtype === "float32" ? 1e-4 : 1e-9;
      this.first[name].forEach((x, i) => {
        const y = this.engine[name][i];
        if (!(Object.is(x, y) || Math.abs(x - y) <= eps * (1 + Math.abs(y)))) count++;
      });
    }
    return count;
  }

  changed(name, position) {
    return !Object.is(this.values[name][position], this.first[name][position]);
  }
}

function references(formula, found = []) {
  for (const term of formula) {
    for (const factor of term.slice(1)) {
      if (Array.isArray(factor)) found.push(factor);
      else if (factor.op === "won") found.push(factor.args.slice(2));
      else factor.args.forEach((argument) => references(argument, found));
    }
  }
  return found;
}
