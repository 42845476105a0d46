// The server's OpenAPI description as a page.
import { $, h, table } from '../dom.js';

const METHODS = ['get', 'post', 'put', 'delete'];
const api = await (await fetch('/openapi.json')).json();

const named = schema => (schema?.$ref ? schema.$ref.split('/').at(-1) : null);
const resolve = schema => (named(schema) ? api.components.schemas[named(schema)] : schema) ?? {};

function typeOf(schema) {
  if (!schema) return '';
  if (named(schema)) return named(schema);
  if (schema.anyOf) return schema.anyOf.map(typeOf).filter(type => type !== 'null').join(' or ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map(value => JSON.stringify(value)).join(' | ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items) || 'anything'}`;
  return schema.contentMediaType || schema.format === 'binary' ? 'file' : schema.type ?? 'object';
}

function fields(schema) {
  const { properties = {}, required = [] } = resolve(schema);
  return Object.entries(properties).map(([name, field]) => [h('code', {}, name), typeOf(field),
    [required.includes(name) ? 'required' : field.default !== undefined ? `default ${JSON.stringify(field.default)}` : 'optional', field.description].filter(Boolean).join('; ')]);
}

function example(method, path, form) {
  const parts = form ? Object.entries(resolve(form).properties).filter(([, field]) => typeOf(field) === 'file').map(([name]) => ` -F ${name}=@clip.mp4`) : [];
  const verb = method === 'get' || (method === 'post' && parts.length) ? '' : ` -X ${method.toUpperCase()}`;
  return `curl${verb}${parts.join('')} ${location.origin}${path}`;
}

function operation(method, path, { summary, description, parameters = [], requestBody, responses }) {
  const form = requestBody && Object.values(requestBody.content)[0].schema;
  const given = [...parameters.map(({ name, in: place, required, schema, description: words }) =>
    [h('code', {}, name), typeOf(schema), [`in the ${place}`, required ? 'required' : 'optional', words].filter(Boolean).join('; ')]), ...(form ? fields(form) : [])];
  const answers = Object.entries(responses).map(([status, { description: words, content }]) =>
    [status, words, Object.entries(content ?? {}).map(([kind, { schema }]) => named(schema) ?? kind).join(', ')]);
  return h('section', { class: 'panel' }, h('h2', {}, h('code', {}, `${method.toUpperCase()} ${path}`)), h('p', {}, h('strong', {}, `${summary}. `), description ?? ''),
    given.length > 0 && table(['Name', 'Type', 'Meaning'], given), table(['Status', 'Meaning', 'Content'], answers),
    h('pre', { class: 'scroll', tabindex: 0 }, h('code', {}, example(method, path, form))));
}

const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
  METHODS.filter(method => methods[method]).map(method => operation(method, path, methods[method])));
const shapes = Object.keys(api.components.schemas).filter(name => api.components.schemas[name].properties).map(name =>
  h('details', { class: 'panel' }, h('summary', {}, name), h('p', {}, resolve(api.components.schemas[name]).description ?? ''), table(['Name', 'Type', 'Meaning'], fields(api.components.schemas[name]))));
$('operations').replaceChildren(
  h('p', {}, api.info.description, ' ', h('a', { href: '/openapi.json' }, 'The same for programs: openapi.json'), '.'),
  ...operations, h('h2', {}, 'Shapes'), ...shapes);
