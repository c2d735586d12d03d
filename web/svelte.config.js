/** Runes everywhere, so that the old reactive syntax cannot slip in. */
export default { compilerOptions: { runes: true } };
