// Reads {schemas: {apiVersion/kind: file}, objects: [...]} on standard input, validates each object by the
// schema of its kind, and writes one list of problems for each object.
//
// The schemas are compiled to code that asks for each field it knows, by name. So a field that nobody
// asked for is one that the custom resource does not have; a server that validates strictly refuses it.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { schemas, objects } = JSON.parse(readFileSync(0, "utf8"));

/** The object with every field that is read noted in `read`, as `path/field`. */
function watched(value, read, path = "") {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, key) {
      if (typeof key !== "string" || !Object.hasOwn(target, key)) return target[key];
      read.add(`${path}/${key}`);
      return watched(target[key], read, `${path}/${key}`);
    },
  });
}

/** Every `path/field` of a value. */
function fields(value, path = "") {
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    `${path}/${key}`,
    ...fields(inner, `${path}/${key}`),
  ]);
}

const problems = [];
for (const object of objects) {
  const { validate } = await import(pathToFileURL(schemas[`${object.apiVersion}/${object.kind}`]));
  const read = new Set();
  const found = [];
  if (!validate(watched(object, read))) {
    found.push(...validate.errors.map((error) => `${error.instancePath} ${error.message ?? error.keyword}`));
  }
  found.push(...fields(object).filter((field) => !read.has(field)).map((field) => `${field} is unknown`));
  problems.push(found);
}
process.stdout.write(JSON.stringify(problems));
