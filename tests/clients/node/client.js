// node-redis and ioredis against kvstored.
'use strict'
const assert = require('node:assert')
const path = process.argv[2]

async function nodeRedis () {
  const { createClient } = require('redis')
  const c = createClient({ socket: { path } })
  await c.connect()
  assert.equal(await c.ping(), 'PONG')
  assert.equal(await c.set('name', 'Rojalin', { EX: 100 }), 'OK')
  assert.equal(await c.get('name'), 'Rojalin')
  assert.equal(await c.get('none'), null)
  assert.equal(await c.incrBy('n', 5), 5)
  assert.deepEqual(await c.mGet(['name', 'none']), ['Rojalin', null])
  assert.deepEqual(await c.multi().set('a', '1').incr('a').get('a').exec(), ['OK', 2, '2'])
  const keys = []
  for await (const key of c.scanIterator()) keys.push(key)
  assert.deepEqual(keys.sort(), ['a', 'n', 'name'])
  const sub = c.duplicate()
  await sub.connect()
  const got = new Promise(resolve => sub.subscribe('news', resolve).then(() => c.publish('news', 'hello')))
  assert.equal(await got, 'hello')
  await sub.quit()
  assert.match(await c.info('commandstats'), /cmdstat_set:calls=/)
  assert.equal((await c.configGet('maxclients')).maxclients, '10000')
  await assert.rejects(c.incr('name'), /not an integer/)
  await c.quit()
}

async function ioRedis () {
  const Redis = require('ioredis')
  const c = new Redis(path, { connectionName: 'io' })
  assert.equal(await c.set('k', 'v', 'PX', 60000, 'NX'), 'OK')
  assert.equal(await c.set('k', 'v', 'NX'), null)
  assert.equal(await c.get('k'), 'v')
  assert.deepEqual(await c.getBuffer('k'), Buffer.from('v'))
  assert.equal(await c.client('GETNAME'), 'io')
  const replies = await c.pipeline().incr('p').incr('p').lpush('l', 1).exec()
  assert.equal(replies[1][1], 2)
  assert.match(replies[2][0].message, /there are no lists here/)
  assert.deepEqual(await c.multi().set('m', 1).incr('m').exec(), [[null, 'OK'], [null, 2]])
  const found = []
  for await (const keys of c.scanStream({ match: '*', count: 2 })) found.push(...keys)
  assert.ok(found.includes('k') && found.includes('p'))
  const sub = new Redis(path)
  await sub.psubscribe('n*')
  const got = new Promise(resolve => sub.on('pmessage', (pattern, channel, text) => resolve([pattern, channel, text])))
  assert.equal(await c.publish('news', 'hi'), 1)
  assert.deepEqual(await got, ['n*', 'news', 'hi'])
  sub.disconnect()
  await c.quit()
}

nodeRedis().then(ioRedis).catch(e => { console.error(e); process.exit(1) })
