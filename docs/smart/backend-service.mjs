#!/usr/bin/env node
// A SMART backend service: signs an assertion with its own key (ES384), gets a token, and counts what it may see.
// Nothing but Node (18 or later) is needed.
//   node backend-service.mjs keys                          makes private.jwk and jwks.json
//   vesta client add counter --kind asymmetric --jwks jwks.json --scope 'system/*.rs'   (while the server is stopped)
//   node backend-service.mjs http://localhost:8080/fhir counter
import { createPrivateKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const [base, client = 'counter'] = process.argv.slice(2);
if (!base) {
  console.error('node backend-service.mjs keys | node backend-service.mjs FHIR_BASE [CLIENT_ID]');
  process.exit(2);
}
if (base === 'keys') {
  if (existsSync('private.jwk')) throw new Error('private.jwk is there already');
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const name = { kid: randomUUID(), alg: 'ES384', use: 'sig' };
  writeFileSync('private.jwk', JSON.stringify({ ...privateKey.export({ format: 'jwk' }), ...name }), { mode: 0o600 });
  writeFileSync('jwks.json', JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), ...name }] }, null, 2));
  console.log('made private.jwk (keep it) and jwks.json (register it)');
  process.exit(0);
}

const answered = async answer => {
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${answer.status} ${JSON.stringify(body)}`);
  return body;
};
const smart = await answered(await fetch(`${base}/.well-known/smart-configuration`));
const key = JSON.parse(readFileSync('private.jwk', 'utf8'));
const part = value => Buffer.from(JSON.stringify(value)).toString('base64url');
const text = [
  part({ alg: 'ES384', typ: 'JWT', kid: key.kid }),
  part({ iss: client, sub: client, aud: smart.token_endpoint, exp: Math.floor(Date.now() / 1000) + 240, jti: randomUUID() }),
].join('.');
const signature = sign('sha384', Buffer.from(text), {
  key: createPrivateKey({ key, format: 'jwk' }),
  dsaEncoding: 'ieee-p1363',
});
const token = await answered(await fetch(smart.token_endpoint, {
  method: 'POST',
  body: new URLSearchParams({
    grant_type: 'client_credentials',
    scope: 'system/*.rs',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: `${text}.${signature.toString('base64url')}`,
  }),
}));
console.log(`a token for ${token.expires_in} s: ${token.scope}`);
for (const type of ['Patient', 'Encounter', 'Observation']) {
  const url = `${base}/${type}?_summary=count`;
  const bundle = await answered(await fetch(url, { headers: { authorization: `Bearer ${token.access_token}` } }));
  console.log(`${type}: ${bundle.total}`);
}
