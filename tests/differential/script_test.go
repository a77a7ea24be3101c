package differential

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// scriptCases are scripts whose replies must be Redis's, byte for byte.
var scriptCases = []string{
	`return redis.call('nosuch')`, `return redis.call('get')`, `return redis.pcall('nosuch')`,
	`local e=redis.pcall('nosuch') return {type(e),e.err,e.source,e.line}`,
	`return redis.call()`, `return redis.call({})`, `return redis.call('set','k',{})`, `return redis.call('get',true)`,
	`return redis.error_reply('My Err')`, `return redis.error_reply('-My Err')`, `return redis.error_reply()`, `return {err='x y'}`,
	`return {ok='fine'}`, `return redis.status_reply('PONG')`, `return redis.status_reply('a','b')`,
	`error('boom')`, `error({err='MYCODE boom'})`, `error('boom',0)`, `error()`, `error(nil)`, "\n\nerror('third')",
	`x=1`, `return y`, `string.foo=1`, `redis.foo=1`, `rawset(_G,'a',1)`, `setmetatable(_G,{})`, `_G.x=1`, `_G['y']=2`, `redis.call=nil`,
	`return 1.9`, `return -3.7`, `return 1e30`, `return {1,2,nil,4}`, `return {1,{2,'x',true,false}}`, `return {}`, `return nil`, `return`,
	`return true`, `return false`, `return {true,false}`, `return {a=1}`, `return {1.5,'1.5'}`, `return unpack({1,2,3})`, `return 'a\r\nb'`,
	`return {err='a\r\nb'}`, `return {ok='a\r\nb'}`,
	`return redis.call('set','k','v')`, `redis.call('set','k','abc') return redis.call('incr','k')`,
	`redis.call('set','k','abc') local r=redis.pcall('incr','k') return r`, `redis.call('del','k') return redis.call('get','k')`,
	`redis.call('del','k') return {redis.call('get','k'),redis.call('exists','k')}`, `return redis.call('mget','k','none','other')`,
	`redis.call('set','k',1) return redis.call('set','k',1.5)`, `redis.call('set','k',10000000000000000) return redis.call('get','k')`,
	`redis.call('set','k',0.1) return redis.call('get','k')`, `redis.call('set','k',1/3) return redis.call('get','k')`,
	`redis.call('set','k',-0.0) return redis.call('get','k')`, `redis.call('set','k',1e300) return redis.call('get','k')`,
	`return nil + 1`, `return {} + 1`, `return redis.sha1hex('')`, `return redis.sha1hex('abc')`, `return redis.sha1hex()`, `return redis.log(1)`,
	`return redis.log('x','y')`, `return redis.log(9,'y')`, `redis.setresp(4)`, `redis.setresp()`, `return redis.call('watch','x')`,
	`return redis.call('eval','return 1','0')`, `return redis.call('multi')`, `return redis.call('exec')`, `return redis.call('subscribe','x')`,
	`return redis.call('script','flush')`, `return redis.call('client','id')`, `return redis.call('client','nosuch')`,
	`return tostring(redis.LOG_WARNING)..redis.LOG_DEBUG..redis.LOG_NOTICE..redis.LOG_VERBOSE`, `return _VERSION`, `return print`, `return dofile`,
	`return loadfile`, `return require`, `return io`, `return package`, `return debug`, `return newproxy`, `return getfenv`, `return setfenv`,
	`return module`, `return type(load)..type(loadstring)`, `return loadstring('return 1+1')()`, `return #KEYS`,
	`return {KEYS[1] or 'none', tostring(KEYS[1])}`, `KEYS[1]='x' return KEYS[1]`, `return cjson.encode({1,2.5,1e20,true,cjson.null})`,
	`return cjson.encode({})`, `return cjson.encode('a/b"\\'..string.char(1,9,127))`, `return cjson.encode({[1]=1,[3]=3})`, `return cjson.encode({a={b={c=1}}})`,
	`return cjson.encode(1/0)`, `return cjson.encode(print or redis.call)`, `return cjson.decode('{"a":[1,2,{"b":null}]}').a[2]`,
	`return cjson.decode('{"a":[1,2,{"b":null}]}').a[3].b == cjson.null`, `return cjson.decode('{bad')`, `return cjson.decode('[1,2')`,
	`return cjson.decode('[1 2]')`, `return cjson.decode('{"a" 1}')`, `return cjson.decode('')`, `return cjson.decode('"\\u00e9\\ud83d\\ude00\\n"')`,
	`return cjson.decode(' [1 , 2.5e1 , -3] ')`, `return cjson.decode('[1,2,3] x')`, `return tostring(cjson.decode('1.5'))`,
	`return tostring(1e15)..' '..tostring(0.1)..' '..tostring(1e100)..' '..tostring(-0/1)`, `return 1e15 .. '|' .. 0.1+0.2 .. '|' .. 2^53 .. '|' .. 100`,
	`return 'a'..nil`, `return 'a'..{}`, `return 1 ..2`, `local function f() return 1,2 end return 'x'..f()..'y'..f()`,
	`local t=setmetatable({},{__concat=function(a,b) return 'C' end}) return {t..'x','x'..t,'a'..'b'..t}`,
	`local t={} for k,v in pairs(redis) do t[#t+1]=k end table.sort(t) return t`,
	`redis.breakpoint()`, `return redis.replicate_commands()`, `return redis.set_repl(redis.REPL_ALL)`,
	`return {bit.tohex(255),bit.tohex(-1,4),bit.tohex(255,-2),bit.band(255,15),bit.bor(1,2,4),bit.bxor(5,1),bit.bnot(0),bit.lshift(1,31),bit.rshift(-1,28),bit.arshift(-8,1),bit.rol(1,33),bit.ror(1,1),bit.bswap(1),bit.tobit(4294967295)}`,
	`return string.rep('x',10)..string.rep('ab',0)`, `return redis.call('select','1')`, `redis.call('select','1') redis.call('set','in1','x') return redis.call('dbsize')`,
	`return redis.call('get','in1')`, `math.randomseed(42) return {math.random(10),math.random(1000000)}`, `return string.format('%d %s %5.2f %q', 3, 'a', 1.5, 'q"')`,
	`return string.format('%05d|%x|%-5s|%%|%c', 42, 255, 'ab', 65)`, `return {string.find('hello world','o w'),string.match('key:12','%d+'),(string.gsub('abc','b','X'))}`,
	`return {('x'):upper(),('abc'):sub(2),#'abc',('a,b'):find(',',1,true)}`, `return table.concat({1,2,3},',')..table.concat({})`,
	`return table.concat({1,{},3})`, `local t={3,1,2} table.sort(t,function(a,b) return a>b end) return t`, `local t={1,2} table.insert(t,3) table.remove(t,1) return t`,
	`return pcall(function() error('in') end)`, `return {pcall(function() error('in') end)}`, `return {pcall(redis.call,'incr','a','b')}`,
	`local a,b=pcall(redis.call,'incr','a','b') return type(b)..' '..tostring(b)`, `return {pcall(error,{code=1})}`, `return select('#',pcall(error))`,
	`return {xpcall(function() error('x') end, function(e) return 'handled '..e end)}`,
	`local co=coroutine.create(function(a) local b=coroutine.yield(a+1) return b*2 end) local _,x=coroutine.resume(co,1) local _,y=coroutine.resume(co,5) return {x,y}`,
	`local f=coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end) return {f(),f()}`,
	`local n=0 for i=1,100000 do n=n+i end return n`, `local a={} a[1]=a return 1`, `return #ARGV`, `return tonumber('0x10')+tonumber('10',2)`,
	`return tonumber('abc')`, `return {tostring(tonumber('1e3')),tostring(tonumber(' 5 '))}`, `return redis.call('ping')`, `return redis.call('echo','x')`,
	`return redis.call('strlen','k')+1`, `return type(redis.call('ping'))..redis.call('ping').ok`, `return type(redis.call('get','none'))`,
	`redis.setresp(3) return type(redis.call('get','none'))`, `redis.setresp(3) return {true,false}`, `redis.setresp(3) return redis.call('get','none')`,
	`return {double=3.5}`, `return {map={a=1}}`, `return {set={x=true}}`, `return {big_number='123'}`, `return {verbatim_string={string='txt',format='mkd'}}`,
	`#!lua` + "\n" + `return 1`, `#!lua flags=no-writes` + "\n" + `return redis.call('get','k')`, `#!lua flags=no-writes` + "\n" + `return redis.call('set','k','v')`,
	`#!lua flags=no-writes,allow-stale` + "\n" + `return error('second line')`, `#!lua flags=bad` + "\n" + `return 1`, `#!lua foo=1` + "\n" + `return 1`,
	`#!python` + "\n" + `return 1`, `#!lua`,
}

// scriptsOf72 are those whose numbers are written, or which find globals, as
// from Redis 7.2 on.
var scriptsOf72 = []string{
	`redis.call('set','k',0.1) return redis.call('get','k')`, `redis.call('set','k',1/3) return redis.call('get','k')`,
	`redis.call('set','k',-0.0) return redis.call('get','k')`, `redis.call('set','k',1e300) return redis.call('get','k')`,
	`return newproxy`, `return getfenv`, `return setfenv`,
}

// scriptsTo72 are those to which later releases answer with other errors.
var scriptsTo72 = []string{`return redis.log(9,'y')`, `return newproxy`, `return getfenv`, `return setfenv`}

// TestScripts compares what scripts answer, in RESP2 and RESP3.
func TestScripts(t *testing.T) {
	g, members := newTransactionRig(t)
	for proto, m := range members[:2] {
		g.turn(members[proto:], say(0, words("FLUSHALL"), words("SET", "k", "5"), words("SET", "other", "o")))
		for _, text := range scriptCases {
			if g.release < 702 && slices.Contains(scriptsOf72, text) || g.release > 702 && slices.Contains(scriptsTo72, text) {
				continue
			}
			a, b := m.redis.do(t, "EVAL", text, "0"), m.ours.do(t, "EVAL", text, "0")
			if !a.Equal(&b) {
				t.Errorf("RESP%d: %s\n  redis    %s\n  kvstored %s", proto+2, text, &a, &b)
			}
		}
	}
}

// TestScriptCommands is EVAL's arguments, EVALSHA, EVAL_RO and SCRIPT.
func TestScriptCommands(t *testing.T) {
	g, members := newTransactionRig(t)
	const one, write = "return 1", "return redis.call('set',KEYS[1],ARGV[1])"
	sha := string(members[0].redis.do(t, "SCRIPT", "LOAD", one).Text)
	g.turn(members, say(0, words("SCRIPT", "FLUSH"), words("EVALSHA", sha, "0"), words("SCRIPT", "LOAD", one), words("EVALSHA", sha, "0"),
		words("EVALSHA", strings.ToUpper(sha), "0"), words("SCRIPT", "EXISTS", sha, "nosuch", strings.ToUpper(sha)), words("EVALSHA_RO", sha, "0"), words("SCRIPT", "FLUSH", "SYNC"), words("SCRIPT", "FLUSH", "ASYNC"), words("SCRIPT", "FLUSH", "x"),
		words("SCRIPT", "EXISTS", sha), words("EVALSHA", sha, "0"), words("EVALSHA", "x", "0"), words("SCRIPT", "KILL"), words("SCRIPT", "EXISTS"),
		words("EVAL", one), words("EVAL", one, "x"), words("EVAL", one, "1"), words("EVAL", one, "-1"), words("EVAL", one, "99999999999999999999"),
		words("EVAL", "return {KEYS[1],KEYS[2],ARGV[1],#ARGV}", "2", "a", "b", "c", "d"), words("EVAL", write, "1", "k", "v"), words("GET", "k"),
		words("EVAL_RO", write, "1", "k", "v2"), words("EVAL_RO", "return redis.call('get',KEYS[1])", "1", "k"), words("EVAL_RO", "#!lua\nreturn 1", "0"),
		words("EVAL_RO", "#!lua flags=no-writes\nreturn 1", "0"), words("EVAL_RO", "return redis.pcall('del','k')", "0"), words("GET", "k"),
		words("SCRIPT", "nosuch"), words("SCRIPT", "SHOW"), words("SCRIPT", "HELP"), words("SCRIPT", "HELP", "x"), words("SCRIPT"), words("SCRIPT", "DEBUG"), words("COMMAND", "GETKEYS", "EVAL", one, "2", "a", "b", "c"), words("COMMAND", "GETKEYS", "EVALSHA", one, "0", "x")))
	for _, mode := range []string{"no", "x"} { // each by itself: Redis wants it so
		g.turn(members, say(0, words("SCRIPT", "DEBUG", mode)))
	}
	// In transactions, and as what changes a watched key.
	g.turn(members, say(0, words("MULTI"), words("EVAL", write, "1", "k", "v3"), words("EVAL", "return redis.call('incr','k')", "0"), words("EVAL", "error('x')", "0"),
		words("EVALSHA", "nosuch", "0"), words("GET", "k"), words("EXEC"), words("WATCH", "k"), words("EVAL", "return redis.call('get','k')", "0"),
		words("MULTI"), words("GET", "k"), words("EXEC"), words("WATCH", "k"), words("EVAL", write, "1", "k", "v4"), words("MULTI"), words("GET", "k"), words("EXEC"),
		words("EVAL", "redis.call('select','3') return redis.call('set','k','three')", "0"), words("GET", "k"), words("SELECT", "3"), words("GET", "k")))
}

// The scripts below do what those of well-known lock and limiter libraries do,
// in their forms.
const (
	unlock = `if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end`
	extend = `local token = redis.call('get', KEYS[1])
if not token or token ~= ARGV[1] then
	return 0
end
local expiration = redis.call('pttl', KEYS[1])
if not expiration then
	expiration = 0
end
if expiration < 0 then
	return 0
end
local newttl = ARGV[2]
if ARGV[3] == "0" then
	newttl = ARGV[2] + expiration
end
redis.call('pexpire', KEYS[1], newttl)
return 1`
	lockAll = `for i, key in ipairs(KEYS) do
	if redis.call("exists", key) == 1 then return 0 end
end
for i, key in ipairs(KEYS) do
	redis.call("set", key, ARGV[1], "PX", ARGV[2])
end
return #KEYS`
	window = `local current = redis.call("INCRBY", KEYS[1], ARGV[1])
if tonumber(current) == tonumber(ARGV[1]) then
	redis.call("EXPIRE", KEYS[1], ARGV[2])
end
if current > tonumber(ARGV[3]) then return {0, current} end
return {1, current}`
	flexible = `redis.call('set', KEYS[1], 0, 'EX', ARGV[2], 'NX')
local consumed = redis.call('incrby', KEYS[1], ARGV[1])
local ttl = redis.call('ttl', KEYS[1])
if ttl == -1 then redis.call('expire', KEYS[1], ARGV[2]) ttl = tonumber(ARGV[2]) end
return {consumed, ttl > 0}`
	// The generic cell rate algorithm at a given time: when the next request
	// would be due, in fractions of a second.
	cells = `redis.replicate_commands()
local burst, rate, period, cost, now = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local interval = period / rate
local increment = interval * cost
local offset = interval * burst
local tat = redis.call("GET", KEYS[1])
if not tat then tat = now else tat = tonumber(tat) end
tat = math.max(tat, now)
local new_tat = tat + increment
local allow_at = new_tat - offset
local diff = now - allow_at
local remaining = diff / interval
if remaining < 0 then
	return {0, 0, tostring(diff * -1), tostring(tat - now)}
end
local reset_after = new_tat - now
if reset_after > 0 then
	redis.call("SET", KEYS[1], new_tat, "EX", math.ceil(reset_after))
end
return {cost, remaining, tostring(-1), tostring(reset_after)}`
)

// TestLocksAndLimiters runs them beside Redis.
func TestLocksAndLimiters(t *testing.T) {
	g, members := newTransactionRig(t)
	var all [][]string
	add := func(args ...string) { all = append(all, args) }
	add("SET", "lock", "token", "NX", "PX", "100000")
	add("EVAL", unlock, "1", "lock", "other")
	add("EVAL", extend, "1", "lock", "other", "50000", "0")
	add("EVAL", extend, "1", "lock", "token", "50000", "0")
	add("EVAL", extend, "1", "lock", "token", "50000", "1")
	add("EVAL", unlock, "1", "lock", "token")
	add("EVAL", unlock, "1", "lock", "token")
	add("EVAL", extend, "1", "lock", "token", "50000", "1")
	add("EVAL", lockAll, "3", "l1", "l2", "l3", "me", "90000")
	add("EVAL", lockAll, "3", "l0", "l2", "l9", "you", "90000")
	add("MGET", "l0", "l1", "l2", "l3", "l9")
	for i := range 12 {
		add("EVAL", window, "1", "window", "1", "100", "10")
		add("EVAL", flexible, "1", "flexible", fmt.Sprint(1+i%3), "100")
		add("EVAL", cells, "1", "cells", "5", "10", "1", "1", fmt.Sprintf("%d.%d", 1700000000+i/9, i*7%10))
	}
	add("GET", "cells")
	g.turn(members, turn{0, all})
	for i, args := range all {
		if args[0] == "EVAL" && i%2 == 0 {
			g.turn(members, say(1, words("EVALSHA", string(members[1].redis.do(t, "SCRIPT", "LOAD", args[1]).Text), "1", "x", "1", "100", "10", "1", "5")))
		}
	}
}
