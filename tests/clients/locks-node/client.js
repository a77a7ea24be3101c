// A lock library (redlock) and a rate limiter (rate-limiter-flexible) against kvstored.
'use strict'
const assert = require('node:assert')
const Redis = require('ioredis')
const Redlock = require('redlock')
const { RateLimiterRedis } = require('rate-limiter-flexible')
const c = new Redis(process.argv[2])

// Four holders add to a number in two steps; without mutual exclusion some
// additions are lost.
async function contention () {
  const locks = new Redlock([c], { retryCount: 100000, retryDelay: 2, retryJitter: 2 })
  let inside = 0
  const holder = async () => {
    for (let i = 0; i < 10; i++) {
      const lock = await locks.lock('lock:sum', 60000)
      assert.equal(++inside, 1)
      const n = Number(await c.get('sum'))
      await c.set('sum', n + 1)
      inside--
      await lock.unlock()
    }
  }
  await Promise.all([holder(), holder(), holder(), holder()])
  assert.equal(await c.get('sum'), '40')
}

// Nobody but the holder extends or releases; what has expired can be had again.
async function owners () {
  const locks = new Redlock([c], { retryCount: 0 })
  const lock = await locks.lock('lock:own', 30000)
  await assert.rejects(locks.lock('lock:own', 30000))
  await c.script('FLUSH')
  const longer = await lock.extend(60000)
  assert.ok(await c.pttl('lock:own') > 30000)
  await c.set('lock:own', 'stranger')
  await assert.rejects(longer.unlock())
  await assert.rejects(longer.extend(1000))
  assert.equal(await c.get('lock:own'), 'stranger')
  await c.del('lock:own')
  await new Redlock([c], { retryCount: 1000 }).lock('lock:gone', 50)
  const patient = new Redlock([c], { retryCount: 10000, retryDelay: 5 })
  await (await patient.lock('lock:gone', 60000)).unlock()
  const both = await locks.lock(['lock:a', 'lock:b'], 60000)
  await assert.rejects(locks.lock(['lock:b', 'lock:c'], 60000))
  assert.equal(await c.exists('lock:a', 'lock:b', 'lock:c'), 2)
  await both.unlock()
  assert.equal(await c.exists('lock:a', 'lock:b', 'lock:c'), 0)
}

// Of many that ask at once exactly as many pass as are allowed.
async function limiter () {
  const limits = new RateLimiterRedis({ storeClient: c, keyPrefix: 'limit', points: 10, duration: 3600 })
  const asked = await Promise.allSettled(Array.from({ length: 30 }, () => limits.consume('user')))
  assert.equal(asked.filter(a => a.status === 'fulfilled').length, 10)
  for (const a of asked.filter(a => a.status === 'rejected')) assert.ok(a.reason.msBeforeNext > 0, String(a.reason))
  await c.script('FLUSH')
  await assert.rejects(limits.consume('user'), r => r.consumedPoints === 31)
  assert.equal((await limits.get('user')).remainingPoints, 0)
  assert.equal(await limits.delete('user'), true)
  assert.equal((await limits.consume('user', 4)).remainingPoints, 6)
}

contention().then(owners).then(limiter).then(() => c.quit()).catch(e => { console.error(e); process.exit(1) })
