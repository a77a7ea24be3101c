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
