// The API document as a judge of the made-up server: an answer that the document does not allow is a fault of the test.
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

// The document's own words (`format: int64`, `example`) are no words of JSON Schema.
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema({ $id: 'document', components: DOCUMENT.components });
const known = new Map<string, ValidateFunction>();

/** References of the document lead into it from any schema. */
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
