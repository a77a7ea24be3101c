package differential

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// The libraries of scripts, beside Redis.

// compareScripts compares what scripts answer, by RESP2.
func compareScripts(t *testing.T, scripts []string) {
	t.Helper()
	g, members := newTransactionRig(t)
	g.turn(members[:1], say(0, words("FLUSHALL"), words("SET", "k", "5")))
	c := members[0]
	for len(scripts) > 0 {
		n := min(len(scripts), 100)
		for _, text := range scripts[:n] {
			c.redis.put([]string{"EVAL", text, "0"}, false)
			c.ours.put([]string{"EVAL", text, "0"}, false)
		}
		c.redis.flush()
		c.ours.flush()
		for _, text := range scripts[:n] {
			a, b := c.redis.read(t, "redis"), c.ours.read(t, "kvstored")
			if !a.Equal(&b) {
				t.Errorf("%s\n  redis    %s\n  kvstored %s", text, &a, &b)
			}
		}
		scripts = scripts[n:]
	}
}

// luaGenerator makes expressions of Lua.
type luaGenerator struct{ *rand.Rand }

func (g luaGenerator) pick(from ...string) string { return from[g.IntN(len(from))] }

// number is one at and around the edges of the types that numbers pass through.
func (g luaGenerator) number() string {
	switch g.IntN(6) {
	case 0:
		return strconv.Itoa(g.IntN(300) - 150)
	case 1:
		return fmt.Sprintf("%s2^%d%s", g.pick("", "-"), g.IntN(70), g.pick("", "-1", "+1", "+0.5"))
	case 2:
		return strconv.FormatFloat(g.NormFloat64()*1e3, 'g', g.IntN(8)+1, 64)
	case 3:
		return g.pick("0", "1/0", "-1/0", "0.1", "0.5", "1/3", "1e15", "1e100", "1e-7", "2^53", "-2^63", "123456789012")
	case 4:
		return strconv.Itoa(g.IntN(1 << 20))
	}
	return strconv.FormatInt(g.Int64()-1<<62, 10)
}

// text is a string of any bytes.
func (g luaGenerator) text(most int) string {
	var b strings.Builder
	b.WriteByte('"')
	for range g.IntN(most + 1) {
		fmt.Fprintf(&b, "\\%03d", g.IntN(256))
	}
	return b.String() + `"`
}

// value is any value; of tables with other keys than 1 to n it makes those
// with one, whose order is nobody's choice.
func (g luaGenerator) value(depth int) string {
	switch n := g.IntN(8); {
	case n < 2 && depth < 4:
		var items []string
		for range g.IntN(18 >> depth) {
			items = append(items, g.value(depth+1))
		}
		return "{" + strings.Join(items, ",") + "}"
	case n == 2 && depth < 4:
		return "{[" + g.pick("'k'", g.number(), "true") + "]=" + g.value(depth+1) + "}"
	case n == 3:
		return g.text(40)
	case n == 4:
		return g.pick("true", "false", "'x'", "string.rep('ab',200)")
	}
	return g.number()
}

var packCases = []string{
	`return cmsgpack.pack()`, `return cmsgpack.pack(nil)`, `return cmsgpack.pack(nil,nil)`, `return cmsgpack.pack(1,'two',{3},true,false,nil,4.5)`,
	`return cmsgpack.pack(redis.call)`, `return cmsgpack.pack({1,2,nil,4})`, `return cmsgpack.pack({[1]=1,[2]=2,[4]=4})`, `return cmsgpack.pack({[0]=1})`,
	`return cmsgpack.pack({[1.5]=1})`, `return cmsgpack.pack({[-1]=1})`, `return cmsgpack.pack({})`, `return cmsgpack.pack({{},{{}}})`, `return cmsgpack.pack({[2^40]=1})`,
	`local t={} t[1]=t return cmsgpack.pack(t)`, `local t={} local x=t for i=1,20 do x[1]={} x=x[1] end return cmsgpack.pack(t)`,
	`local t={} for i=1,15 do t[i]=i end return cmsgpack.pack(t)`, `local t={} for i=1,16 do t[i]=i end return cmsgpack.pack(t)`,
	`local t={} for i=1,70000 do t[i]=1 end return redis.sha1hex(cmsgpack.pack(t))`, `return cmsgpack.pack(string.rep('x',31))`, `return cmsgpack.pack(string.rep('x',32))`,
	`return cmsgpack.pack(string.rep('x',255))`, `return cmsgpack.pack(string.rep('x',256))`, `return redis.sha1hex(cmsgpack.pack(string.rep('x',65535)))`,
	`return redis.sha1hex(cmsgpack.pack(string.rep('x',65536)))`, `return cmsgpack.pack(cjson.null)`, `return cmsgpack.pack(0/0)`, `return cmsgpack.pack(1/0,-1/0,-0)`,
	`return {cmsgpack.unpack(cmsgpack.pack(1,2,3))}`, `return {cmsgpack.unpack('')}`, `return cmsgpack.unpack()`, `return cmsgpack.unpack({})`, `return cmsgpack.unpack(1)`,
	`return cmsgpack.unpack('\193')`, `return cmsgpack.unpack('\202\1')`, `return cmsgpack.unpack('\145')`, `return cmsgpack.unpack('\129\1')`, `return cmsgpack.unpack('\129\192\1')`,
	`return cmsgpack.unpack('\220\0')`, `return cmsgpack.unpack('\221\255\255\255\255')`, `return cmsgpack.unpack('\219\255\255\255\255')`, `return cmsgpack.unpack('\163ab')`,
	`return {cmsgpack.unpack('\207\255\255\255\255\255\255\255\255')}`, `return tostring(cmsgpack.unpack('\207\127\255\255\255\255\255\255\255'))`,
	`return {cmsgpack.unpack('\209\128\1\208\128\210\128\0\0\1\211\128\0\0\0\0\0\0\1\205\255\254\206\255\255\255\255\204\200\224\255\127')}`,
	`return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3))}`, `return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),2)}`, `return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),3)}`,
	`return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3),4)}`, `return {cmsgpack.unpack_one('a',-1)}`, `return cmsgpack.unpack_one('a','x')`, `return {cmsgpack.unpack_one('a','0')}`,
	`return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),2)}`, `return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),2,1)}`, `return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),0,1)}`,
	`return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),-1)}`, `return cmsgpack.unpack_limit('a')`, `return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),0,0)}`,
	`return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3),100,0)}`, `return {cmsgpack.unpack_one('')}`, `return {cmsgpack.unpack_one(cmsgpack.pack({1,{2}},'x'))}`,
	`return #{cmsgpack.unpack(string.rep('\1',7000))}`, `return select('#',cmsgpack.unpack(string.rep('\1',7998)))`, `return cmsgpack.unpack(string.rep('\1',9000))`,
	`return type(cmsgpack.unpack(string.rep('\145',3000)..'\1'))`, `return cmsgpack.unpack(string.rep('\145',5000))`, `return cmsgpack.unpack(string.rep('\129\1',9000))`,
	`return cmsgpack._NAME..cmsgpack._VERSION..cmsgpack._COPYRIGHT..cmsgpack._DESCRIPTION`, `local t={} for k in pairs(cmsgpack) do t[#t+1]=k end table.sort(t) return t`,
	`cmsgpack.pack=1`, `local p=cmsgpack.pack return p()`, `return {pcall(cmsgpack.unpack)}`, `return {pcall(cmsgpack.unpack,'\193')}`,
	`return cmsgpack.unpack('\192') == nil`, `return {cmsgpack.unpack('\147\1\192\3')}`, `return {cmsgpack.unpack('\131\161a\1\161b\2\161a\3').a}`, `return cjson.encode(cmsgpack.unpack('\129\161a\192'))`,
}

func TestMessagePack(t *testing.T) {
	scripts := packCases
	g := luaGenerator{rand.New(rand.NewPCG(*seed, 1))}
	for range 600 {
		value := g.value(0)
		scripts = append(scripts, "return cmsgpack.pack("+value+")", "return cjson.encode({cmsgpack.unpack(cmsgpack.pack("+strings.ReplaceAll(strings.ReplaceAll(value, "[true]", "[1]"), "1/0", "7")+"))})")
	}
	for range 500 { // what no packer wrote
		scripts = append(scripts, "return {cmsgpack.unpack("+g.text(12)+")}", fmt.Sprintf("return {cmsgpack.unpack_limit(%s,%d,%d)}", g.text(12), g.IntN(5), g.IntN(8)))
	}
	compareScripts(t, scripts)
}
