// A web application whose sessions are in kvstored: what a visitor did is
// known at the next request, another visitor has a session of its own, and a
// session that was destroyed is gone.
'use strict'
const assert = require('node:assert')
const http = require('node:http')
const express = require('express')
const session = require('express-session')
const RedisStore = require('connect-redis').default
const { createClient } = require('redis')
const path = process.argv[2]

async function main () {
  const client = createClient({ socket: { path } })
  await client.connect()
  const app = express()
  app.use(session({ store: new RedisStore({ client, prefix: 'sess:' }), secret: 'test', resave: false, saveUninitialized: false, cookie: { maxAge: 60000 } }))
  app.get('/', (req, res) => {
    req.session.visits = (req.session.visits || 0) + 1
    res.send(String(req.session.visits))
  })
  app.get('/leave', (req, res) => req.session.destroy(() => res.send('bye')))
  const server = http.createServer(app)
  await new Promise(resolve => server.listen(path + '.http', resolve))
  const get = (url, cookie) => new Promise((resolve, reject) => {
    http.get({ socketPath: path + '.http', path: url, headers: cookie ? { cookie } : {} }, res => {
      let body = ''
      res.on('data', part => { body += part })
      res.on('end', () => resolve({ body, cookie: (res.headers['set-cookie'] || [''])[0].split(';')[0] }))
    }).on('error', reject)
  })
  const first = await get('/')
  assert.equal(first.body, '1')
  assert.equal((await get('/', first.cookie)).body, '2')
  assert.equal((await get('/')).body, '1')
  const keys = await client.keys('sess:*')
  assert.equal(keys.length, 2)
  const left = await client.ttl(keys[0])
  assert.ok(left > 0 && left <= 60, String(left))
  await get('/leave', first.cookie)
  assert.equal((await client.keys('sess:*')).length, 1)
  assert.equal((await get('/', first.cookie)).body, '1')
  server.close()
  server.closeAllConnections()
  await client.quit()
}

main().catch(e => { console.error(e); process.exit(1) })
