// Validates the answers of the mock server against the API document. An answer that it does not allow is a fault of the test.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

interface Operation {
  responses: Record<string, { content?: Record<string, { schema: object }> }>;
}

const FILE = fileURLToPath(new URL('../../../docs/reference/openapi.json', import.meta.url));
const DOCUMENT = JSON.parse(readFileSync(FILE, 'utf8')) as {
  paths: Record<string, Record<string, Operation>>;
  components: object;
};

// OpenAPI's own keywords (`format: int64`, `example`) are not JSON Schema.
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema({ $id: 'document', components: DOCUMENT.components });
const known = new Map<string, ValidateFunction>();

/** Resolves references of any schema within the document. */
function rooted(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"document#/components/'));
}

function operationOf(method: string, path: string): Operation {
  for (const [template, item] of Object.entries(DOCUMENT.paths)) {
    const pattern = new RegExp(`^${template.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`);
    const operation = item[method.toLowerCase()];
    if (operation && pattern.test(path)) return operation;
  }
  throw new Error(`the document has no ${method} ${path}`);
}

export function checkAnswer(method: string, path: string, status: number, value: unknown): void {
  const key = `${method} ${path} ${status}`;
  let validate = known.get(key);
  if (!validate) {
    const schema = operationOf(method, path).responses[status]?.content?.['application/json']?.schema;
    if (!schema) throw new Error(`the document has no JSON for ${key}`);
    validate = ajv.compile(rooted(schema));
    known.set(key, validate);
  }
  if (!validate(value)) throw new Error(`${key}: ${ajv.errorsText(validate.errors)}`);
}
