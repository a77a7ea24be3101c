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
	compareScriptsBut(t, scripts, func(string, *Value, *Value) bool { return false })
}

// compareScriptsBut excuses what alike knows to differ.
func compareScriptsBut(t *testing.T, scripts []string, alike func(text string, redis, ours *Value) bool) {
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
			if !a.Equal(&b) && !alike(text, &a, &b) {
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

var structCases = []string{
	`return struct.pack()`, `return struct.pack('i')`, `return struct.pack('i','x')`, `return struct.pack('i','12')`, `return struct.pack('s')`, `return struct.pack('z')`, `return struct.pack('?',1)`,
	`return struct.pack('bBhHlLTiI',-1,255,-2,65535,-3,4,5,-6,7)`, `return struct.pack('>bBhHlLTiI',-1,255,-2,65535,-3,4,5,-6,7)`, `return struct.pack('<i3>i3!4i3i16<i16',1,-2,3,-4,-5)`,
	`return struct.pack('i33',1)`, `return struct.pack('i99999999999',1)`, `return struct.pack('i0',1)`, `return struct.pack('!3i',1)`, `return struct.pack('!0i',1)`, `return struct.pack('!bd',1,2)`,
	`return struct.pack('!2bd',1,2)`, `return struct.pack('!16bd',1,2)`, `return struct.pack('b!4i2!ld',1,2,3,4)`, `return struct.pack('fd',1.5,-1.1)`, `return struct.pack('>fd',1.5,-1.1)`,
	`return struct.pack('f',1e300)`, `return struct.pack('s','abc')`, `return struct.pack('s','a\0b')`, `return struct.pack('c2','abc')`, `return struct.pack('c5','abc')`, `return struct.pack('c0','abc')`,
	`return struct.pack('c','abc')`, `return struct.pack('c','')`, `return struct.pack('bxb',1,2)`, `return struct.pack('b x b',1,2)`, `return struct.pack('b\0b',1,2)`, `return struct.pack('bc0',3,'abc')`,
	`return struct.pack('lL',2^63,2^63)`, `return struct.pack('lL',2^64,2^64)`, `return struct.pack('lL',1e300,-1e300)`, `return struct.pack('LL',2^64-2048,-2^63)`, `return struct.pack('l',0/0)`, `return struct.pack('B',1.9)`, `return struct.pack('b',-1.9)`,
	`return struct.pack('i',{})`, `return struct.pack('s',5)`, `return struct.pack(5)`, `return struct.pack('')`, `return struct.pack('b')`, `local p=struct.pack return p('b')`, `return struct.pack('bb',1)`,
	`return {struct.unpack('bBhHlLTiI',string.rep('\200',50))}`, `return {struct.unpack('>bBhHlLTiI',string.rep('\200\1',50))}`, `return {struct.unpack('i3I3',string.rep('\255',6))}`,
	`return {struct.unpack('i9I16i0',string.rep('\129',50))}`, `return {struct.unpack('i','abc')}`, `return {struct.unpack('i','abcdefgh',5)}`, `return {struct.unpack('i','abcdefgh',6)}`, `return {struct.unpack('i','abcdefgh',0)}`,
	`return {struct.unpack('i','abcdefgh',-1)}`, `return {struct.unpack('','abcdefgh',-1)}`, `return {struct.unpack('','')}`, `return struct.unpack('i')`, `return struct.unpack()`, `return {struct.unpack('s','abc\0def\0')}`, `return {struct.unpack('ss','abc\0def\0')}`,
	`return {struct.unpack('s','abc')}`, `return {struct.unpack('s','abc\0',5)}`, `return {struct.unpack('bc0','\3abcdef')}`, `return {struct.unpack('bc0','\9abcdef')}`, `return {struct.unpack('c0','abc')}`, `return {struct.unpack('sc0','2\0abc')}`, `return {struct.unpack('sc0','x\0abc')}`,
	`return {struct.unpack('c2c1c','abcdef')}`, `return {struct.unpack('c9','abcdef')}`, `return {struct.unpack('!bxld',string.rep('\1',40))}`, `return {struct.unpack('!4bh>i',string.rep('\1\2',40))}`, `return {struct.unpack('z','a')}`, `return {struct.unpack('bc0','\255abc')}`,
	`local a,b,c=struct.unpack('fd',struct.pack('fd',1.5,-1.1)) return {tostring(a),tostring(b),c}`, `return struct.unpack(string.rep('b',9000),string.rep('x',9000))`, `return select('#',struct.unpack(string.rep('b',7000),string.rep('x',9000)))`,
	`return struct.size('bBhHlLTiIfdx')`, `return struct.size('!bBhHlLTiIfdx')`, `return struct.size('s')`, `return struct.size('c0')`, `return struct.size('c10c')`, `return struct.size('z')`, `return struct.size('?')`, `return struct.size('i33')`, `return struct.size()`, `return struct.size('!3')`, `return struct.size('b !8 d > i')`,
	`local t={} for k in pairs(struct) do t[#t+1]=k end table.sort(t) return t`, `struct.pack=1`, `return struct.nosuch`,
}

// format is one of struct, and as many values.
func (g luaGenerator) format() (format string, values []string) {
	for range g.IntN(8) {
		switch option := g.pick("b", "B", "h", "H", "l", "L", "T", "i", "I", "i3", "I5", "i12", "f", "d", "x", "s", "c3", "c", "c0", ">", "<", "!", "!2", " "); option {
		case "x", ">", "<", "!", "!2", " ":
			format += option
		case "s", "c3", "c", "c0":
			format += option
			values = append(values, g.text(8))
		default:
			format += option
			values = append(values, g.number())
		}
	}
	return format, values
}

func TestStruct(t *testing.T) {
	scripts := structCases
	g := luaGenerator{rand.New(rand.NewPCG(*seed, 2))}
	for range 1000 {
		format, values := g.format()
		pack := "struct.pack(" + strings.Join(append([]string{"'" + format + "'"}, values...), ",") + ")"
		scripts = append(scripts, "return "+pack, fmt.Sprintf("local r={struct.unpack('%s',%s)} for i=1,#r do r[i]=tostring(r[i]) end return r", format, pack))
		format, _ = g.format()
		scripts = append(scripts, fmt.Sprintf("local r={struct.unpack('%s',%s,%d)} for i=1,#r do r[i]=tostring(r[i]) end return r", format, g.text(40), g.IntN(5)), fmt.Sprintf("return struct.size('%s')", format))
	}
	compareScripts(t, scripts)
}

func TestBitLibrary(t *testing.T) {
	scripts := []string{
		`local t={} for k in pairs(bit) do t[#t+1]=k end table.sort(t) return t`, `return bit.tobit()`, `return bit.tobit('x')`, `return bit.tobit('0x10')`, `return bit.tobit(nil)`, `return bit.band()`, `return bit.band(1)`,
		`return bit.band(1,{},'x')`, `return bit.bor('7',8)`, `return bit.lshift(1)`, `return bit.lshift(1,33)`, `return bit.lshift(1,-1)`, `return bit.tohex(1,nil)`, `return bit.tohex(-1,0)`, `return bit.tohex(-1,9)`,
		`return bit.tohex(-1,-9)`, `return bit.tohex(-1,-2147483648)`, `return bit.tohex(0/0)`, `return bit.tobit(1/0)`, `return bit.bnot('')`, `return bit.nosuch`, `bit.band=1`,
	}
	g := luaGenerator{rand.New(rand.NewPCG(*seed, 3))}
	for range 1000 {
		scripts = append(scripts, fmt.Sprintf("return bit.%s(%s)", g.pick("tobit", "bnot", "bswap", "tohex"), g.number()),
			fmt.Sprintf("return bit.%s(%s,%s)", g.pick("band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror", "tohex"), g.number(), g.number()),
			fmt.Sprintf("return bit.%s(%s,%s,%s)", g.pick("band", "bor", "bxor"), g.number(), g.number(), g.number()))
	}
	compareScripts(t, scripts)
}

var jsonCases = []string{
	`return cjson.encode()`, `return cjson.encode(1,2)`, `return cjson.decode()`, `return cjson.decode({})`, `return cjson.decode('1','2')`, `return cjson.decode(5)`, `return cjson.encode(nil)`, `return cjson.encode(redis.call)`,
	`return {cjson.encode_sparse_array()}`, `return {cjson.encode_sparse_array(true)}`, `return cjson.encode({[1]=1,[100]=2})`, `return {cjson.encode_sparse_array(false,3,5)}`, `return cjson.encode({[1]=1,[7]=2})`, `return cjson.encode({[1]=1,[6]=2,[3]=1})`,
	`return {cjson.encode_sparse_array('on',0)}`, `return #cjson.encode({[1]=1,[1000]=2})`, `return {cjson.encode_sparse_array('off',2,10)}`, `return cjson.encode_sparse_array('x')`, `return cjson.encode_sparse_array(false,-1)`, `return cjson.encode_sparse_array(false,{})`,
	`return cjson.encode_sparse_array(1,2,3,4)`, `return {cjson.encode_max_depth()}`, `return cjson.encode_max_depth(0)`, `return cjson.encode_max_depth(3)`, `return cjson.encode({{{}}})`, `return cjson.encode({{{{}}}})`, `return cjson.encode({a={a={a={}}}})`, `return cjson.encode_max_depth(1000)`,
	`return cjson.encode_max_depth(1,2)`, `return cjson.encode_max_depth('x')`, `return cjson.decode_max_depth()`, `return cjson.decode_max_depth(2)`, `return cjson.decode('[[1]]')`, `return cjson.decode('[[[1]]]')`, `return cjson.decode('{"a":{"b":{}}}')`, `return cjson.decode_max_depth(1000)`,
	`return cjson.decode(string.rep('[',1001))`, `return cjson.decode(string.rep('[',1000))`, `local t={} t[1]=t return cjson.encode(t)`, `local t={} t.x=t return cjson.encode(t)`, `cjson.decode_max_depth(100000) return cjson.decode(string.rep('[',10000))`,
	`return cjson.decode(string.rep('{"a":',10000))`, `cjson.decode_max_depth(1000) cjson.encode_max_depth(100000) local t={} t[1]=t return cjson.encode(t)`, `local t={} t.x=t return cjson.encode(t)`, `return cjson.encode_max_depth(1000)`,
	`return cjson.encode_number_precision()`, `return cjson.encode_number_precision(3)`, `return cjson.encode({1.23456,1e10,1/3,123456})`, `return cjson.encode_number_precision(14)`, `return cjson.encode_number_precision(15)`, `return cjson.encode_number_precision(0)`, `return cjson.encode_number_precision(1.9)`, `return cjson.encode_number_precision('14')`,
	`return tostring(cjson.encode_keep_buffer())`, `return tostring(cjson.encode_keep_buffer(false))`, `return cjson.encode({1})`, `return tostring(cjson.encode_keep_buffer('on'))`, `return cjson.encode_keep_buffer(1)`,
	`return tostring(cjson.encode_invalid_numbers())`, `return tostring(cjson.encode_invalid_numbers(true))`, `return cjson.encode({1/0,-1/0,0/0,-(0/0)})`, `return cjson.encode({[1/0]=1})`, `return tostring(cjson.encode_invalid_numbers('null'))`, `return cjson.encode({1/0,-1/0,0/0})`, `return tostring(cjson.encode_invalid_numbers(false))`,
	`return cjson.encode({1/0})`, `return cjson.encode_invalid_numbers('x')`, `return cjson.encode_invalid_numbers({})`, `return cjson.encode_invalid_numbers(1,2)`, `return tostring(cjson.decode_invalid_numbers())`,
	`return {tostring(cjson.decode('nan')),tostring(cjson.decode('-nan')),tostring(cjson.decode('inf')),tostring(cjson.decode('-Infinity')),tostring(cjson.decode('0x1F')),tostring(cjson.decode('+5')),tostring(cjson.decode('007')),tostring(cjson.decode('0x1p4'))}`,
	`return tostring(cjson.decode_invalid_numbers(false))`, `return cjson.decode('nan')`, `return cjson.decode('-inf')`, `return cjson.decode('0x1F')`, `return cjson.decode('+5')`, `return cjson.decode('[007]')`, `return cjson.decode('-1e5')`, `return cjson.decode('-')`, `return cjson.decode_invalid_numbers(true)`,
	`return tostring(cjson.null)..type(cjson.null)`, `return cjson.null`, `return cjson.encode(cjson.null)`, `return cjson.decode('null') == cjson.null`, `local c=cjson.new() return {type(c.encode),c.null==cjson.null,c._NAME,c.encode_max_depth(5),cjson.encode_max_depth()}`,
	`local c=cjson.new() c.x=1 return c.x`, `cjson.x=1`, `return cjson.x`, `local t={} for k in pairs(cjson) do t[#t+1]=k end table.sort(t) return t`, `return cjson.decode_array_with_array_mt`, `return cjson._NAME..cjson._VERSION`,
	`return cjson.encode({[true]=1})`, `return cjson.encode({[1.5]=1})`, `return cjson.encode({[0]=1})`, `return cjson.encode({[-1]='x'})`, `return cjson.encode({[2^31]=1})`, `return cjson.encode({[2^40]=1})`, `return cjson.encode({[1e300]=1})`, `return cjson.encode({1,nil,3})`, `return cjson.encode({nil,nil,3})`,
	`return cjson.encode('\0\1\31\127\128\255/"\\\b\f\n\r\t')`, `return cjson.decode('"\1\t\127"')`, `return cjson.decode('"\\u00"')`, `return cjson.decode('"\\ud800"')`, `return cjson.decode('"\\udc00\\ud800"')`, `return cjson.decode('"\\ud83d\\u0041"')`, `return cjson.decode('"\\uD83D\\uDE00"')`, `return cjson.decode('"\\x"')`,
	`return cjson.decode('"\\')`, `return cjson.decode('"abc')`, `return cjson.decode('"\\u0000"')`, `return cjson.decode('\0')`, `return cjson.decode('1\0')`, `return cjson.decode('11\0x')`, `return cjson.decode('[1,2\0]')`, `return cjson.decode('tru')`, `return cjson.decode('truex')`, `return cjson.decode('nul')`, `return cjson.decode('[,]')`,
	`return cjson.decode('[1,]')`, `return cjson.decode('{,}')`, `return cjson.decode('{"a":1,}')`, `return cjson.decode('{1:2}')`, `return cjson.decode('{"a"}')`, `return cjson.decode('{"a":}')`, `return cjson.decode('[}')`, `return cjson.decode('1 2')`, `return cjson.decode('#')`, `return cjson.decode("'a'")`, `return cjson.decode(' ')`, `return cjson.decode('i')`, `return cjson.decode('-x')`,
	`return cjson.decode('1.5.5')`, `return cjson.decode('1e')`, `return cjson.decode('.5')`, `return cjson.decode('5.')`, `return tostring(cjson.decode('1e400'))`, `return tostring(cjson.decode('12345678901234567890'))`, `return {cjson.decode('[1,null,3]')[2]==cjson.null,#cjson.decode('[1,null,3]')}`,
	`return cjson.decode('{"a":1,"a":2}').a`, `local e,d=pcall(cjson.decode,'[') return {tostring(e),d}`, `return {pcall(cjson.encode,1/0)}`, `local e=cjson.encode return e()`, `return cjson.encode({a=1})`, `return cjson.encode({{},{a={}},'x',{1,{2}}})`,
	`return cjson.encode({1e15,1e14,123456789012345,0.1,1e-5,-0.0001,1e300,2^53,100000,1e5})`,
}

func TestJSON(t *testing.T) {
	scripts := jsonCases
	g := luaGenerator{rand.New(rand.NewPCG(*seed, 4))}
	for range 700 {
		scripts = append(scripts, "return cjson.encode("+g.value(0)+")", "return cjson.encode(cjson.decode(cjson.encode("+strings.NewReplacer("[true]", "[1]", "1/0", "7").Replace(g.value(0))+")))")
	}
	const bits = `[]{},:"\\/bu0dDeEtruefalsenull 19.-+xinfNaN`
	for range 2000 { // nearly JSON
		var b strings.Builder
		for range g.IntN(10) {
			b.WriteString(g.pick(`"a":`, `"a"`, "[", "]", "{", "}", ",", ":", "1", "-1.5e3", "true", "null", bits[g.IntN(len(bits)-1):][:1]))
		}
		scripts = append(scripts, "return cjson.encode(cjson.decode([==["+b.String()+"]==]))")
	}
	compareScripts(t, scripts)
}

// luaCases are what Lua's own functions and operators answer, and how they
// complain.
var luaCases = []string{
	// Operators and their complaints.
	`return '10'+1`, `return '010'+1`, `return '0x10'+1`, `return ' 5 '*2`, `return '1e2'-0`, `return -'3'`, `return -'x'`, `return '5'%3`, `return '2'^'3'`, `return 'abc'+1`, `return 1+'abc'`, `return ''+1`,
	`return 010`, `return 0x1F`, `return 1e3`, `return 3.`, `return .5`, `return tostring(1e999)`, `return tostring(-1e999)`, `return tostring(0/0)`, `return tostring(-(0/0))`, `return 5%3,-5%3`, `return {5%3,-5%3,5%-3,-5%-3,tostring(5.5%2),tostring(-1%0),tostring(5%(1/0)),tostring(-5%(1/0))}`,
	`return 2^10`, `return tostring(2^0.5)`, `return tostring(10/3)`, `return '1'=='1.0'`, `return {1=='1', '10'<'9', 'a'<'b', 'Z'<'a', ''<'a', 'a\0b'<'a\0c'}`, `return 1<'2'`, `return '1'<2`, `return {}<{}`, `return {}<1`, `return nil<1`, `return nil<nil`, `return true<false`, `return print<print`, `return redis.call<redis.call`,
	`local x return x.y`, `local x return x.y.z`, `local x={} return x.y.z`, `local x x.y=1`, `local x={} x.y.z=1`, `return KEYS[1].x`, `return ARGV[1][2]`, `local t={} return t[1][2]`, `local t={} t[nil]=1`, `local t={} t[0/0]=1`, `local x={} x[1].y=2`, `return (nil).x`, `return ('x').y.z`, `return (5).x`, `return true.x`,
	`local x=5 return x.y`, `local x=5 x.y=1`, `local s='x' s.y=1`, `local x return #x`, `return #5`, `return #nil`, `local t={} return #t.x`, `local x return -x`, `local x return x+1`, `local x return 1+x`, `local t={} return t.x+1`, `local t={} return 1+t.x`, `return KEYS+1`, `return {}+{}`, `return -{}`, `local t={} return t+t`,
	`local x return 'a'..x`, `local x return x..'a'`, `local t={} return 'a'..t.x`, `return 'a'..t`, `local x return 'a'..'b'..x..'c'`, `return 'a'..{}..'b'`, `return 1 ..true`, `local function f() return x end return 'a'..f`, `local x local function f() return 'a'..x end return f()`, `local x local function f() return x.y end return f()`, `local x local function f() x.y=1 end f()`,
	`local x x()`, `x()`, `redis.nosuch()`, `local t={} t.x()`, `local t={} t:x()`, `local s='a' s:nosuch()`, `local s='a' return s:upper()`, `(5)()`, `('x')()`, `return ({})()`, `local t={} t()`, `local x=redis.call('get','none') return x.y`, `local x=redis.call('get','none') return x+1`, `local x=redis.call('get','none') return 'a'..x`, `return redis.call('get','none')+1`,
	`return tonumber(redis.call('get','none'))+1`, `return #redis.call('get','none')`, `return redis.call('get','none').x`, `redis.call('get','none')()`, `local function f(a) return a.b.c end return f({})`, `local function f(a) return a+1 end return f()`, `local f=function(a,b) return a..b end return f('x')`, `local t={f=function(self) return self.x.y end} return t:f()`,
	`for i='1','3' do end return 'ok'`, `for i='x',3 do end`, `for i=1,'x' do end`, `for i=1,3,'x' do end`, `for i=1,nil do end`, `for i=nil,1 do end`, `for i=1,3,{} do end`, `local n=0 for i=3,1 do n=n+1 end return n`, `local n=0 for i=1,2,0.5 do n=n+1 end return n`, `for k,v in nil do end`, `for k,v in {} do end`, `for k,v in pairs() do end`, `for k,v in pairs(nil) do end`, `for k,v in ipairs(nil) do end`, `for k,v in next,nil do end`, `for k in 5 do end`,
	"local a = 1\nlocal b\nreturn a +\n b", "local t = {}\nreturn t\n.x\n.y", "local function f()\n  error('in f')\nend\nf()", "local function f()\n  error('in f', 2)\nend\n\nf()", "local function f()\n  error('in f', 3)\nend\nf()", `error('x',0)`, `error({err='E x',other=1})`, `error(true)`, `error(5)`, `error('a\nb')`, `error()`, `error('x',-1)`, `error('x','y')`,
	"local x = redis.call('get',\n 'none') + \n nil", "return redis.call('incr',\n'k',\n'x')", "local f = redis.call\nreturn\nf('nosuch')",
	// Upvalues and errors.
	`local n=0 local function inc() n=n+1 end inc() pcall(redis.call,'x') inc() pcall(error) inc() return n`, `local saved pcall(function() local y=5 saved=function() return y end error() end) local a,b,c=7,8,9 return saved()`, `local saved xpcall(function() local y=5 saved=function() return y end error() end,function() end) local a,b,c=7,8,9 return saved()`,
	`local n=0 local function inc() n=n+1 return n end for i=1,5 do pcall(function() inc() error('x') end) end n=n+10 return {inc(),n}`, `local fs={} for i=1,3 do pcall(function() local j=i fs[i]=function() j=j+1 return j end error() end) end return {fs[1](),fs[1](),fs[2](),fs[3]()}`,
	`local ok,e=pcall(function() local x x.y=1 end) return e`, `local ok,e=pcall(function() error({code=5}) end) return {tostring(ok),type(e),e.code}`, `return {pcall(error,'x',0)}`, `return {pcall(error,'x')}`, `return {pcall(error)}`, `return select('#',pcall(error))`, `return {pcall(nil)}`, `return {pcall({})}`, `return {pcall(5)}`, `return {pcall('x')}`, `return {pcall(function(...) return select('#',...),... end,1,nil,3)}`,
	`return {pcall(pcall,error)}`, `return {xpcall(error,function(e) return 'h' end)}`, `return {xpcall(function() error('x') end,function(e) return e..'!' end)}`, `return xpcall()`, `return {xpcall(error,function() error('again') end)}`, `return {xpcall(error,error)}`, `return {xpcall(error,5)}`, `return xpcall(error)`, `return {xpcall(function() return 1,2 end,error)}`, `return {xpcall(function() local x x.y=1 end,function(e) return e end)}`, `local ok,e=pcall(redis.call,'incr','other','x') return e`,
	`redis.call('set','other','a') local ok,e=pcall(redis.call,'incr','other') return e`, `return {pcall(redis.pcall,'nosuch')}`, `local ok,e=pcall(string.rep) return e`, `local ok,e=pcall(function() string.rep() end) return e`, `local ok,e=pcall(table.concat,{{}}) return e`, `return {pcall(setmetatable,1,{})}`,
	// Base.
	`return assert(false)`, `return assert(nil,'msg')`, `return assert(1,2)`, `return {assert(1,2,3)}`, `return assert()`, `return assert(false,{})`, `return assert(false,5)`, `return type()`, `return type(nil)`, `return {type(1),type('x'),type({}),type(type),type(true),type(coroutine.create(function() end)),type(cjson.null)}`, `return rawequal(1)`, `return rawequal({},{})`, `return rawget({})`, `return rawget(nil,1)`, `return rawget({5},1)`, `return rawset({},nil,1)`, `return rawset({})`, `return rawset({},1,2)[1]`,
	`return select(0)`, `return select(-1,1,2,3)`, `return {select(2,1,2,3)}`, `return {select(-2,1,2,3)}`, `return select(5,1)`, `return select(-5,1)`, `return select()`, `return select('x')`, `return select('#')`, `return {unpack({1,2,3})}`, `return {unpack({1,2,3},2)}`, `return {unpack({1,2,3},2,5)}`, `return {unpack({1,2,3},-1,1)}`, `return unpack()`, `return unpack({},1,1e7)`, `return #{unpack({},1,7000)}`, `return {unpack({1,2},'1','2')}`, `return unpack({1},2,1)`,
	`return next({})`, `return {next({5})}`, `return next()`, `return {next({a=1})}`, `return next(redis.nosuch or {})`, `return setmetatable()`, `return setmetatable({})`, `return setmetatable({},1)`, `return getmetatable(setmetatable({},{__metatable='locked'}))`, `return setmetatable(setmetatable({},{__metatable='locked'}),{})`, `return getmetatable({})`, `return getmetatable()`, `return type(getmetatable(setmetatable({},{})))`,
	`return tostring()`, `return tostring(nil)`, `return tostring(setmetatable({},{__tostring=function() return 'T' end}))`, `return tostring(true)`, `return tonumber()`, `return tonumber(nil)`, `return tonumber({})`, `return {tonumber('10',2),tonumber('ff',16),tonumber('FF',16),tonumber('zz',36),tonumber('0xff',16),tonumber(' 7 ',8)}`, `return tonumber('8',8)`, `return tonumber('',16)`, `return tonumber('1',1)`, `return tonumber('1',37)`, `return tonumber({},16)`, `return tonumber(10,16)`, `return tostring(tonumber('-ff',16))`, `return tonumber('1.5',16)`,
	`return tostring(tonumber('inf'))`, `return tostring(tonumber('nan'))`, `return tostring(tonumber('-Infinity'))`, `return tonumber('0x')`, `return tonumber('1e')`, `return tonumber('1e5x')`, `return tonumber('1 2')`, `return tonumber('1_000')`, `return tonumber('0b1')`, `return tonumber('0x1p4')`, `return tonumber('5\0x')`, `return tonumber('')`, `return tonumber(' ')`, `return tonumber('.')`, `return tonumber('+5')`, `return tonumber('--5')`, `return tonumber('- 5')`, `return tonumber('\n5\t')`, `return tostring(tonumber('1e309'))`, `return tostring(tonumber('ffffffffffffffffff',16))`,
	`return loadstring('return 1+1')()`, `return {loadstring('x x')}`, `return {loadstring('return 1','=name')}~=nil`, `local f,e=loadstring('error("x")','=name') return {pcall(f)}`, `local f=loadstring('error("x")') return {pcall(f)}`, `local f=loadstring('error("x")','@file') return {pcall(f)}`, `local f=loadstring('error("x")\n\n') return {pcall(f)}`, `local f=loadstring('error("'..string.rep('x',100)..'")') return {pcall(f)}`,
	`return load(function() return nil end)`, `local n=0 return load(function() n=n+1 return ({'return ','5'})[n] end)()`, `return loadstring()`, `return load()`, `return load('x')`, `return {load(function() return {} end)}`, `return collectgarbage('count')>=0`, `return type(gcinfo())`, `return collectgarbage('step')~=nil`,
	`return ipairs()`, `local t={} for i,v in ipairs({1,2,nil,4}) do t[#t+1]=v end return t`, `local t={} for k,v in pairs({1,2,3}) do t[#t+1]=k*v end return t`, `local a,b,c=pairs({}) return {type(a),type(b),type(c)}`, `local a,b,c=ipairs({}) return {type(a),type(b),c}`, `local t={a=1,b=2} for k in pairs(t) do t[k]=nil end return next(t)`,
	// string.
	`return string.len()`, `return ('x'):len()`, `return string.len(12)`, `return string.sub('hello',2,-2)`, `return string.sub('hello',-3)`, `return string.sub('hello',0)`, `return string.sub('hello',10)`, `return string.sub('hello',-10,2)`, `return string.sub('hello')`, `return string.sub('hello','2','3')`, `return string.sub('hello',2.9,3.9)`, `return string.sub()`, `return string.upper('aBc1\228')`, `return string.lower('AbC1\196')`, `return string.upper()`, `return string.reverse('abc')`, `return string.reverse()`, `return string.reverse('')`,
	`return string.rep('ab',3)`, `return string.rep('ab',-1)`, `return string.rep('ab')`, `return string.rep()`, `return string.rep('x','3')`, `return string.rep('x',2.9)`, `return {string.byte('abc')}`, `return {string.byte('abc',-1)}`, `return {string.byte('abc',1,-1)}`, `return {string.byte('abc',10)}`, `return {string.byte('')}`, `return string.byte()`, `return {string.byte('abc',0)}`, `return string.byte(string.rep('x',9000),1,-1)`, `return #{string.byte(string.rep('x',7000),1,-1)}`, `return string.char()`, `return string.char(65,66)`, `return string.char(256)`, `return string.char(-1)`, `return string.char('x')`, `return string.char(65.9)`,
	`return {string.find('abc','b')}`, `return {string.find('abc','')}`, `return {string.find('abc','',10)}`, `return {string.find('abc','',4)}`, `return {string.find('a.c','.',1,true)}`, `return {string.find('a.c','%.')}`, `return {string.find('abc','(b)(c)')}`, `return {string.find('abc','()b()')}`, `return string.find('abc')`, `return string.find()`, `return string.find('abc',nil)`, `return {string.find('abcabc','b',-2)}`, `return {string.find('abcabc','b',-3)}`, `return {string.find('abc','^b')}`, `return {string.find('abc','^b',2)}`, `return {string.find('abc','c$')}`, `return {string.find('a$c','$c')}`, `return {string.find('a\0b','\0')}`, `return {string.find('a\0b','%z')}`, `return {string.find('a\0b','a\0b')}`, `return {string.find('a\0b','a\0x.')}`,
	`return string.match('abc')`, `return {string.match('key=val','(%w+)=(%w+)')}`, `return string.match('abc','x')`, `return string.match('2024-01-02','(%d+)-(%d+)-(%d+)')`, `return {string.match('  x  ','^%s*(.-)%s*$')}`, `return string.match('THE (quick) fox','%((%a+)%)')`, `return string.match('THE (quick) fox','%b()')`, `return {string.match('f(a(b)c)d','%b()')}`, `return string.match('aa','(a)%1')`, `return string.match('ab','(a)%1')`, `return string.match('x','%1')`, `return string.match('x','(x')`, `return string.match('x','x)')`, `return string.match('x','(()x')`, `return string.match('x','[x')`, `return string.match('x','[]')`, `return string.match(']','[]]')`, `return string.match('x','[^]')`, `return string.match('x','%')`, `return string.match('x','x%')`, `return string.match('x','[%')`, `return string.match('x','[a-')`, `return string.match('-','[a-]')`, `return string.match('b','[a-c]')`, `return string.match('-','[%a-z]')`, `return string.match('x','%b')`, `return string.match('x','%bx')`, `return string.match('x','%f')`, `return string.match('THE END','%f[%a]%a+%f[%A]',4)`, `return string.match('x','%f[')`,
	`return {string.match('aXb','%u'),string.match('aXb','%l+'),string.match('a1 b','%s'),string.match('a.b','%p'),string.match('\1','%c')=='\1',string.match('xyz','%x'),string.match('a_1','[%w_]+'),string.match('abc','%U+'),string.match('1a','%D'),string.match('a\0','%Z+')}`, `return string.match('aaa','a-')`, `return string.match('aaab','a-b')`, `return string.match('aaa','a?a?a?a?')`, `return string.match('hello','.-(l+)')`, `return string.match('x*y','x*y')`, `return string.match('*','*')`, `return string.match('+','+')`, `return string.match('a','a**')`, `return string.match('$','%$')`, `return string.match('ab','a.$')`, `return string.match('a^b','a^b')`, `return string.rep('(x)',33)`, `return string.match(string.rep('x',40),string.rep('(x)',33))`, `return {string.match(string.rep('x',40),string.rep('(x)',32))}`, `return string.match('abc','()',2)`, `return string.match('abc',5)`, `return string.match(5,5)`,
	`return {string.gsub('hello','l','L')}`, `return {string.gsub('hello','l','L',1)}`, `return {string.gsub('hello','','-')}`, `return {string.gsub('hello','^h','H')}`, `return {string.gsub('hello hello','^h','H')}`, `return {string.gsub('hello','(l)(l)','%2%1%0%%')}`, `return {string.gsub('hello','l','%1')}`, `return {string.gsub('hello','l','%2')}`, `return {string.gsub('hello','l','%x')}`, `return {string.gsub('hello','l','x%')}`, `return {string.gsub('hello','l',{l='L'})}`, `return {string.gsub('hello','l',{})}`, `return {string.gsub('hello','l',{l=false})}`, `return {string.gsub('hello','l',{l=5})}`, `return {string.gsub('hello','l',{l={}})}`, `return {string.gsub('hello','l',function(c) return c:upper() end)}`, `return {string.gsub('hello','l',function() end)}`, `return {string.gsub('hello','l',function() return {} end)}`, `return {string.gsub('hello','l',function() return true end)}`, `return {string.gsub('hello','(h)(e)',function(a,b) return b..a end)}`, `return {string.gsub('hello','()l',function(p) return p end)}`, `return string.gsub('hello','l')`, `return string.gsub('hello','l',nil)`, `return string.gsub('hello','l',true)`, `return string.gsub('hello')`, `return {string.gsub('hello','l','x',0)}`, `return {string.gsub('hello','l','x',-1)}`, `return {string.gsub('hello','l','x','1')}`, `return {string.gsub('abc','%w','%0%0')}`, `return {string.gsub('abc','b*','x')}`, `return {string.gsub('a,b,,c',',','; ')}`, `return {string.gsub('$name is $age','%$(%w+)',{name='Bo',age=7})}`, `return {string.gsub('hello','l',5)}`, `return {string.gsub('abc','.',{a=1,b=true})}`, `return {string.gsub('','','x')}`, `return {string.gsub('abc','$','x')}`, `return {string.gsub('abc','b()','%1')}`, `return {('x y'):gsub('%s+','_')}`,
	`local t={} for w in string.gmatch('one two  three','%a+') do t[#t+1]=w end return t`, `local t={} for k,v in string.gmatch('a=1,b=2','(%w+)=(%w+)') do t[#t+1]=k t[#t+1]=v end return t`, `local t={} for p in string.gmatch('abc','()') do t[#t+1]=p end return t`, `local t={} for w in string.gmatch('abc','') do t[#t+1]='x'..w end return t`, `local t={} for w in string.gmatch('^a^a','^a') do t[#t+1]=w end return t`, `return string.gmatch('x')`, `return string.gmatch()`, `for w in string.gmatch('x','[') do end`, `local t={} for a,b in ('k1:v1;k2:v2'):gmatch('([^:;]+):([^:;]+)') do t[#t+1]=a..'='..b end return t`, `return type(string.gfind)`, `return string.gmatch('abc','b')()`, `local f=string.gmatch('a b','%a') return {f(),f(),f()}`,
	`return string.format()`, `return string.format('%d')`, `return string.format('%d','x')`, `return string.format('%d','12')`, `return string.format('%d',1.9)`, `return string.format('%d',-1.9)`, `return string.format('%d',2^53)`, `return string.format('%d',1e300)`, `return string.format('%5d|%-5d|%05d|%+d|% d',42,42,42,42,42)`, `return string.format('%.3d|%5.3d|%05.3d|%.0d',5,5,5,0)`, `return string.format('%i',7)`, `return string.format('%u',-1)`, `return string.format('%x %X %#x %#X %o %#o',255,255,255,255,8,8)`, `return string.format('%x',-1)`, `return string.format('%#x %#o',0,0)`, `return string.format('%c%c',65,0)`, `return string.format('%5c|%-3c|',65,66)`, `return string.format('%e %E',12345.678,0.00012)`, `return string.format('%.2e|%10.1e|%-12.0e|%#.0e',12345.678,1,2,3)`, `return string.format('%f %.0f %.2f %10.3f %-10.1f| %+f %05.1f %#.0f',1.5,2.5,3.14159,2.71828,1.25,1,2.5,3)`, `return string.format('%g %g %g %g %g %g',1,1.5,1e20,1e-5,100000,1000000)`, `return string.format('%.3g %.10g %#g %G %.0g',1234.5,1/3,1.5,1e-10,1234)`, `return string.format('%g %f %e %d',1/0,-1/0,1/0,0)`, `return string.format('%g|%5.1f|%05f',0/0,0/0,-1/0)`, `return string.format('%.14g',0.1)`, `return string.format('%.17g',0.1)`, `return string.format('%.99f',1/3)`, `return string.format('%5s|%-5s|%.2s|%s','ab','ab','abc','x')`, `return string.format('%s',nil)`, `return string.format('%s',{})`, `return string.format('%s',true)`, `return string.format('%s',1.5)`, `return string.format('%s %s',1)`, `return string.format('%5s','a\0b')`, `return string.format('%s',string.rep('x',120)..'\0y')`, `return string.format('%q','a"b\\c\nd\0e\rf')`, `return string.format('%q',5)`, `return string.format('%q')`, `return string.format('%')`, `return string.format('%5')`, `return string.format('%y',1)`, `return string.format('%%')`, `return string.format('%-+ #05d',1)`, `return string.format('%-+ #0-5d',1)`, `return string.format('%123d',1)`, `return string.format('%.123d',1)`, `return string.format('%1.5',1)`, `return string.format('%l',1)`, `return string.format('%a',1)`, `return string.format('%5%')`, `return string.format(5)`, `return string.format('%s','x','y')`, `return string.format('%10.4s|','abcdefgh')`, `return string.format('%+d %+d % d',0,-1,-1)`, `return string.dump()`, `return string.nosuch`,
	// table.
	`local t={1,2} table.insert(t,3) return t`, `local t={1,2} table.insert(t,1,0) return t`, `local t={1,2} table.insert(t,5,9) return {t[3] or 'nil',t[5]}`, `local t={1,2} table.insert(t,0,9) return {t[0],t[1],t[2],t[3] or 'nil'}`, `table.insert()`, `table.insert({})`, `table.insert({},1,2,3)`, `table.insert(nil,1)`, `table.insert({},'x',1)`, `local t={} table.insert(t,nil) return #t`, `local t={1,2,3} return {table.remove(t),#t}`, `local t={1,2,3} return {table.remove(t,1),t[1],t[2],#t}`, `return {table.remove({})}`, `return select('#',table.remove({}))`, `local t={1,2,3} return {table.remove(t,5),#t}`, `local t={1,2,3} return {table.remove(t,0),#t}`, `table.remove()`, `return table.remove({1},'x')`, `table.remove(redis)`, `table.insert(redis,1)`, `table.sort(redis)`,
	`return table.concat({1,2,3})`, `return table.concat({1,2,3},', ')`, `return table.concat({1,2,3},',',2)`, `return table.concat({1,2,3},',',2,3)`, `return table.concat({1,2,3},',',3,2)`, `return table.concat({1,2,3},',',1,5)`, `return table.concat({1,{}})`, `return table.concat({1,true})`, `return table.concat()`, `return table.concat({},5)`, `return table.concat({1,2},5)`, `return table.concat({1.5,1e20},' ')`, `return table.concat({1},{})`, `return table.concat({'a'},',','x')`, `return table.getn({1,2,3})`, `return table.getn()`, `return table.setn({},1)`, `return table.maxn({1,2,[10]=3,[2.5]=1})`, `return table.maxn({})`, `return table.maxn()`, `local t={} table.foreach({1,2},function(k,v) t[#t+1]=k*v end) return t`, `return table.foreach({5},function(k,v) return v end)`, `return table.foreachi({5,6},function(k,v) if k==2 then return v end end)`, `table.foreach({},1)`, `table.foreach()`, `local t={} for k in pairs(table) do t[#t+1]=k end table.sort(t) return t`,
	`local t={3,1,2} table.sort(t) return t`, `local t={'b','a','C'} table.sort(t) return t`, `local t={3,1,2} table.sort(t,function(a,b) return a>b end) return t`, `local t={1,'x'} table.sort(t)`, `local t={1,nil,3} table.sort(t) return #t`, `local t={{},{}} table.sort(t)`, `table.sort({3,2,1},5)`, `table.sort()`, `local t={5,4,3,2,1} table.sort(t,function() return true end) return t`, `local t={} for i=1,20 do t[i]=i%3 end table.sort(t,function(a,b) return true end) return t`, `local t={} for i=1,50 do t[i]={i%5,i} end table.sort(t,function(a,b) return a[1]<b[1] end) local r={} for i=1,50 do r[i]=t[i][2] end return r`, `local t={3,1,2} table.sort(t,nil) return t`, `local t={2,1} table.sort(t,function(a,b) error('in') end)`, `local m={__lt=function(a,b) return a.v<b.v end} local t={} for i=1,9 do t[i]=setmetatable({v=(i*7)%9},m) end table.sort(t) local r={} for i=1,9 do r[i]=t[i].v end return r`,
	// math.
	`return math.abs()`, `return math.abs('x')`, `return math.abs('-5')`, `return {math.abs(-5),math.ceil(1.2),math.ceil(-1.2),math.floor(1.8),math.floor(-1.2),math.max(1,5,3),math.min(4,2,8)}`, `return math.max()`, `return math.min('x')`, `return math.max(1,'5')`, `return math.max(1,nil)`, `return tostring(math.ceil(-0.5))`, `return {tostring(math.modf(3.7)),tostring(select(2,math.modf(3.7))),tostring(math.modf(-3.7)),tostring(select(2,math.modf(1/0))),tostring(math.modf(-1/0))}`, `return {tostring(math.fmod(7,3)),tostring(math.fmod(-7,3)),tostring(math.fmod(1,0)),tostring(math.mod(5,3))}`, `return {tostring(math.frexp(10)),tostring(select(2,math.frexp(10)))}`, `return math.ldexp(0.5,5)`, `return tostring(math.pi)..tostring(math.huge)`, `return {tostring(math.sqrt(2)),tostring(math.sqrt(-1)),tostring(math.exp(1)),tostring(math.log(10)),tostring(math.log10(1000)),tostring(math.log(0)),tostring(math.log(-1))}`, `return {tostring(math.sin(1)),tostring(math.cos(1)),tostring(math.tan(1)),tostring(math.asin(0.5)),tostring(math.acos(0.5)),tostring(math.atan(1)),tostring(math.atan2(1,-1)),tostring(math.sinh(1)),tostring(math.cosh(1)),tostring(math.tanh(1)),tostring(math.deg(1)),tostring(math.rad(180))}`, `return math.pow(2,10)`, `return math.pow(2)`, `return math.random(0)`, `return math.random(2,1)`, `return math.random(1,2,3)`, `return math.random('x')`, `math.randomseed()`, `math.randomseed(7) return {math.random(100),math.random(5,10),tostring(math.random())}`, `math.randomseed(1.9) return math.random(1000)`, `math.randomseed(-1) return math.random(1000)`, `return math.floor()`, `local t={} for k in pairs(math) do t[#t+1]=k end table.sort(t) return t`, `local t={} for k in pairs(string) do t[#t+1]=k end table.sort(t) return t`, `local t={} for k in pairs(coroutine) do t[#t+1]=k end table.sort(t) return t`,
	`local t={} for k in pairs(_G) do if k~='__redis__err__handler' and k~='os' then t[#t+1]=k end end table.sort(t) return t`, `return rawget(_G,'x')`, `return rawget(_G,'redis')~=nil`, `return rawget(redis,'call')~=nil`, `return _G.redis==redis`, `return #_G`,
	// Coroutines.
	`return coroutine.create()`, `return coroutine.create(1)`, `return {coroutine.resume(coroutine.create(function() error('x') end))}`, `return coroutine.status(coroutine.create(function() end))`, `return {coroutine.resume(coroutine.create(function(...) return ... end),1,2)}`, `local c=coroutine.create(function() end) coroutine.resume(c) return {coroutine.resume(c)}`, `local f=coroutine.wrap(function() error('x') end) f()`, `return coroutine.resume(1)`, `return coroutine.yield(1)`, `return tostring(coroutine.running())`, `local f=coroutine.wrap(function() local x x.y=1 end) f()`,
	// Metatables.
	`local t=setmetatable({},{__index=function(t,k) return k..'!' end}) return t.x`, `local t=setmetatable({},{__index={a=1}}) return t.a`, `local t=setmetatable({},{__newindex=function(t,k,v) rawset(t,k,v*2) end}) t.x=5 return t.x`, `local t=setmetatable({},{__call=function(self,a) return a end}) return t(7)`, `local t=setmetatable({},{__add=function(a,b) return 'sum' end}) return {t+1,1+t,t+'x','x'+t,t+t}`, `local t=setmetatable({},{__unm=function() return 'neg' end}) return -t`, `local m={__eq=function() return true end} return {setmetatable({},m)==setmetatable({},m),setmetatable({},m)==1}`, `local m={__lt=function() return true end} return {setmetatable({},m)<setmetatable({},m)}`, `local m={__le=function() return true end} return {setmetatable({},m)<=setmetatable({},m)}`, `local m={__lt=function() return false end} return {setmetatable({},m)<=setmetatable({},m)}`, `return setmetatable({},{})<1`, `local t=setmetatable({},{__index=function() error('in index') end}) return t.x`, `local t=setmetatable({},{__concat=function(a,b) return 'cat' end}) return {t..'x','x'..t,1 ..t}`,
	`local t=setmetatable({},{__mod=function() return 'mod' end,__pow=function() return 'pow' end,__div=function() return 'div' end,__mul=function() return 'mul' end,__sub=function() return 'sub' end}) return {t%2,2^t,t/1,'3'*t,nil==t and 1 or t-nil}`, `local t=setmetatable({},{__tostring=function() return 5 end}) return tostring(t)`,
	// Lengths of tables with holes.
	`return #{1,2,nil}`, `return #{1,nil,3}`, `return #{nil,nil,3}`, `return #{nil}`, `return #{n=1}`, `local t={1,2,3} t[3]=nil return #t`, `local t={} t[1]=1 t[2]=2 t[4]=4 return #t`, `local t={1,2,3,4} t[2]=nil return #t`, `return #'abc'`, `local function f(...) return select('#',...),#{...} end return {f(1,nil,3)}`,
	// Numbers as texts.
	`return tostring(123456789012345678)`, `return tostring(1e14)..' '..tostring(1e15)..' '..tostring(123456789.123)`, `return 1e15`, `return tostring(-0)`, `return tostring(0*-1)`, `return 0.1+0.2 ..''`, `return tostring(1/3)`, `return {tostring(100),tostring(1e2),tostring(1.10),tostring(-1.5e-10),tostring(2^63),tostring(2^31)}`, `return 12345678901234567890`, `return -9223372036854775808`, `return 9223372036854775807`, `return 1e19`, `return 0/0`, `return {1/0,-1/0}`, `return 3.99999`, `return '3.99'`,
	`return redis.call('set','n',123456789012) and redis.call('get','n')`, `return redis.call('set','n',-5.0) and redis.call('get','n')`,
	// Replies.
	`return {1,2,{3,{4,'five'}},nil,6}`, `return {ok=5}`, `return {err=5}`, `return {ok='x',err='y'}`, `return {err='x',1,2}`, `return {1,ok='x'}`, `return redis.call`, `return coroutine.create(function() end)`, `return cjson.null`, `return {redis.call}`, `return {nil,2}`, `return setmetatable({},{__index=function(t,k) if k==1 then return 'x' end end})`,
	// Nested calls.
	`local d=0 local function f(n) d=n local ok,e=pcall(f,n+1) return e end return {f(1),d}`, `local d=0 local function f(n) d=n local ok,e=coroutine.resume(coroutine.create(function() return f(n+1) end)) return e end return {f(1),d}`, `local function f(n) return select(2,xpcall(function() return f(n+1) end,function(e) return 'H'..e end)) end return f(1)`,
	`local co co=coroutine.create(function() return coroutine.resume(co) end) return {select(3,coroutine.resume(co))}`, `local co co=coroutine.create(function() return coroutine.wrap(function() return coroutine.resume(co) end)() end) return {select(3,coroutine.resume(co))}`, `local co=coroutine.create(function() end) coroutine.resume(co) return {select(2,coroutine.resume(co))}`,
}

func TestLua(t *testing.T) { compareScripts(t, luaCases) }

// redisCases are the arguments of the library redis.
var redisCases = []string{
	`return redis.set_repl()`, `return redis.set_repl(4)`, `return redis.set_repl(-1)`, `return redis.set_repl('1')`, `return redis.set_repl({})`, `return redis.set_repl(redis.REPL_NONE)`, `return redis.set_repl(redis.REPL_AOF,1)`, `return redis.set_repl(3.9)`,
	`return {redis.REPL_NONE,redis.REPL_AOF,redis.REPL_SLAVE,redis.REPL_REPLICA,redis.REPL_ALL}`, `return {redis.LOG_DEBUG,redis.LOG_VERBOSE,redis.LOG_NOTICE,redis.LOG_WARNING}`, `return type(redis.REDIS_VERSION)..type(redis.REDIS_VERSION_NUM)`,
	`return redis.acl_check_cmd()`, `return redis.acl_check_cmd('set','k','v')`, `return redis.acl_check_cmd('nosuch')`, `return redis.acl_check_cmd({})`, `return redis.acl_check_cmd('client','nosuch')`, `return redis.acl_check_cmd(5)`, `return redis.acl_check_cmd('client','id')`,
	`return redis.breakpoint()`, `return tostring(redis.breakpoint(1,2))`, `return redis.debug()`, `return redis.debug('x',{})`, `return select('#',redis.debug('x'))`, `return redis.replicate_commands(1)`, `return select('#',redis.set_repl(1))`,
	`return redis.log()`, `return redis.log(1)`, `return redis.log('2','x')`, `return redis.log(-1,'x')`, `return redis.log(3.9,'x',nil,{},5)`, `return redis.log(nil,'x')`, `return select('#',redis.log(0,'x'))`,
	`return redis.setresp()`, `return redis.setresp(1)`, `return redis.setresp('3')`, `return redis.setresp(2.5)`, `return redis.setresp({})`, `return redis.setresp(2,3)`, `return redis.sha1hex(5)`, `return redis.sha1hex('a','b')`, `return redis.sha1hex(1.5)`, `return redis.sha1hex('a\0b')`,
	`return redis.error_reply('x')`, `return redis.error_reply('-x')`, `return redis.error_reply('')`, `return redis.error_reply('-')`, `return redis.error_reply('CODE text here')`, `return redis.error_reply('-CODE text')`, `return redis.error_reply(5)`, `return redis.error_reply('a','b')`, `return redis.error_reply({})`, `return redis.error_reply('a\r\n')`, `return redis.error_reply('A b\r\nc')`, `return redis.error_reply(' x')`, `return redis.error_reply('a\0b c')`, `return redis.error_reply('x').err`, `return redis.error_reply('A b\n').err`,
	`return redis.status_reply('')`, `return redis.status_reply(5)`, `return redis.status_reply({})`, `return redis.status_reply('a\r\nb')`, `return redis.status_reply('x').ok`, `return redis.status_reply()`,
	`local t={} for k,v in pairs(redis.pcall('nosuch')) do t[#t+1]=k..'='..tostring(v) end table.sort(t) return t`, `local t={} for k,v in pairs(redis.pcall('get')) do t[#t+1]=k..'='..tostring(v) end table.sort(t) return t`, `redis.call('set','t','x') local t={} for k,v in pairs(redis.pcall('incr','t')) do t[#t+1]=k..'='..tostring(v) end table.sort(t) return t`, `local t={} for k,v in pairs(redis.error_reply('x')) do t[#t+1]=k..'='..tostring(v) end table.sort(t) return t`,
	`local t={} for k,v in pairs(redis.pcall()) do t[#t+1]=k..'='..tostring(v) end table.sort(t) return t`, `local ok,e=pcall(function() error(redis.pcall('nosuch')) end) return e`, `error(redis.pcall('nosuch'))`, `error(redis.error_reply('MY err'))`, `return redis.pcall({})`, `return redis.call(nil)`, `return redis.call('set','k',nil)`, `return redis.call('set','k',true)`, `return redis.call(5)`, `return redis.call('')`,
	`local e=redis.pcall('nosuch') e.err='changed' return e`, `return {redis.pcall('nosuch'),1}`, `return {err='x y',ignore_error_stats_update=true}`, `return {err='x\0y'}`, `return {ok='x\0y'}`, `return {err=''}`, `return {ok=''}`,
	`return redis.call('set','bin','a\0b\r\n') and redis.call('get','bin')`, `return {redis.call('time')[1] and 1, #redis.call('time')}`, `return redis.call('object','help')[1]`, `return redis.call('GET','k')..redis.call('Get','k')`,
}

// TestRedisLibrary leaves out what 7.2 answers in other words than others.
func TestRedisLibrary(t *testing.T) { compareScripts(t, redisCases) }

var mistakes = []string{
	`return true.x`, `x x`, `bad`, `x =`, `= 5`, `return )`, `if x then`, "if x\nthen\n", `if x return 1 end`, `while true do`, `for i=1 do end`, `for i do end`, `for 1,2 do end`, `for i=1,2 end`, `for a,b c do end`, `for a in x`, `repeat x=1`, `function`, `function f(`, `function f(a,) end`, `function f(1) end`, `function f() return`, `local`, `local 1`, `local x =`, `local function`, `return 1 2`, `return 'abc`, `return "abc`, "return 'a\nb'", `return [[abc`, `return [==[abc]=]`, `--[[ x`, `return 3x`, `return 0xzz`, `return 1.2.3`, `return 1e`, `x=1e+`, `return @`, `return $x`, `return x!`, `return a!=b`, `return {`, `return {1,2`, `return {a=}`, `return {[1]2}`, `return {[1}`, `return (1`, "return (1\n", `return f(`, `f(1`, `x.`, `x.1`, `x:y`, `x:`, `x[1`, `x.y.z`, `f() = 1`, `(x) = 1`, `x, f() = 1`, `a,b`, `1 = x`, `'a' = x`, `nil`, `break`, `while true do break x=1 end`, `return 1; x=1`, `end`, `else`, `until x`, `if x then else elseif y then end`, `return ...`, `function f() return ... end`, `return function(...) return ... end`, `return not`, `return -`, `return 1 +`, `return 1 + + 2`, `return and`, `x = = 1`, `x == 1`, `return x = 1`, `local x <const> = 1`, `x += 1`, `return a ? b : c`, `return 1 // 2`, `return ~1`, `return 1 & 2`, `return 1 << 2`, `continue`, `local t = {1,2,3`, "local t = {\n1,\n2\n", "for i=1,3 do\n  x()\n", "if a then\n b()\nelse\n c()", "function f()\n x()\n", `return "a\qb"`, `try { x }`, `if (x) { y }`, `x++`, `return 'a' 'b'`, `local function f() end end`, `f{`, `f"x`, `return function end`, `return function( end`, `and`, `return #`, `return [1]`, `goto out ::out:: return 1`, "local f = tostring f\n(1)", `return '\300'`, "return 'a\\\r\nb'", `return ` + strings.Repeat(`(`, 250) + `1` + strings.Repeat(`)`, 250),
}

// TestMistakes compares what is said of texts that are not Lua. A text that
// only a later Lua takes is not among them.
func TestMistakes(t *testing.T) { compareScripts(t, mistakes) }
