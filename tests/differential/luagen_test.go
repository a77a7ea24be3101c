package differential

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// Random expressions of Lua, beside Redis.

// operand is a value of any kind, most often one that operators take.
func (g luaGenerator) operand() string {
	switch g.IntN(10) {
	case 0, 1, 2:
		return "(" + g.number() + ")"
	case 3:
		return "'" + g.pick("10", "010", "0x10", " 7 ", "1e2", "-3", "3.", ".5", "1e", "abc", "", "inf", "nan", "5x", "0x", "1 2", "+4") + "'"
	case 4:
		return g.pick("nil", "true", "false", "{}", "t", "t.x", "t.y.z", "u", "s", "n", "f", "t[1]", "redis.call", "cjson.null")
	case 5:
		return g.pick("n", "s", "u", "t.n", "t.s")
	case 6:
		return "#" + g.pick("s", "t", "{1,2,3}", "'abc'", "u", "n", "t.x")
	case 7:
		return "-" + g.pick("n", "s", "u", "t", "'5'", "t.n")
	}
	return fmt.Sprint(g.IntN(20) - 5)
}

func (g luaGenerator) expression(depth int) string {
	if depth > 2 || g.IntN(4) == 0 {
		return g.operand()
	}
	a, b := g.expression(depth+1), g.expression(depth+1)
	switch op := g.pick("+", "-", "*", "/", "%", "^", "..", "==", "~=", "<", "<=", ">", ">=", "and", "or", "not", "call", "index"); op {
	case "not":
		return "not " + a
	case "call":
		return g.pick("tostring", "tonumber", "type", "math.floor", "math.abs", "string.len", "string.upper", "f", "s.x", "t.f", "u", "bit.tobit") + "(" + a + ")"
	case "index":
		return "(" + a + ")[" + b + "]"
	default:
		return "(" + a + " " + op + " " + b + ")"
	}
}

const luaPrologue = "local t,s,n={x={},n=7,s='12'},'10',3 local u local function f(x) return x end "

// pattern is one of Lua's, most often a sound one.
func (g luaGenerator) pattern() string {
	var b strings.Builder
	if g.IntN(6) == 0 {
		b.WriteByte('^')
	}
	for range g.IntN(6) {
		b.WriteString(g.pick("a", "b", "c", ".", "%a", "%d", "%s", "%w", "%p", "%S", "[abc]", "[^a]", "[a-c]", "[%d_]", "(a)", "(.-)", "(%w+)", "()", "%b()", "%f[%w]", "%1", "x", " ", "%%", "(", ")", "[", "%", "]", "-", "$"))
		b.WriteString(g.pick("", "", "", "*", "+", "-", "?"))
	}
	if g.IntN(6) == 0 {
		b.WriteByte('$')
	}
	return b.String()
}

func (g luaGenerator) subject() string {
	var b strings.Builder
	for range g.IntN(14) {
		b.WriteString(g.pick("a", "b", "c", "aa", "(", ")", " ", "1", "x", "_", ".", "%", "A"))
	}
	return b.String()
}

func (g luaGenerator) formatted() string {
	var format strings.Builder
	var args []string
	for range 1 + g.IntN(3) {
		format.WriteString(g.pick("", "x", " ") + "%" + g.pick("", "", "-", "+", " ", "0", "#", "-0", "+#") + g.pick("", "", "5", "12", "1") + g.pick("", "", ".0", ".3", ".", ".10"))
		letter := g.pick("d", "i", "u", "x", "X", "o", "c", "e", "E", "f", "g", "G", "s", "q")
		format.WriteString(letter)
		switch letter {
		case "s", "q":
			args = append(args, g.pick("'abc'", "'a\"b'", "12", "1.5", "''", "nil", "s"))
		case "c":
			args = append(args, fmt.Sprint(1+g.IntN(255)))
		default:
			args = append(args, g.number())
		}
	}
	return "string.format('" + format.String() + "'," + strings.Join(args, ",") + ")"
}

func TestRandomLua(t *testing.T) {
	g := luaGenerator{rand.New(rand.NewPCG(*seed, 5))}
	var scripts []string
	for range *total / 10 {
		switch g.IntN(5) {
		case 0, 1:
			scripts = append(scripts, luaPrologue+"return tostring("+g.expression(0)+")")
		case 2:
			call := g.pick("string.find(%q,%q)", "string.match(%q,%q)", "string.gsub(%q,%q,'<%%1>')", "string.gsub(%q,%q,'%%0%%0')", "string.gsub(%q,%q,string.upper)", "string.find(%q,%q,3)")
			scripts = append(scripts, "return {"+fmt.Sprintf(call, g.subject(), g.pattern())+"}")
		case 3:
			scripts = append(scripts, fmt.Sprintf("local r={} for a,b in string.gmatch(%q,%q) do r[#r+1]=a r[#r+1]=tostring(b) if #r>50 then break end end return r", g.subject(), g.pattern()))
		default:
			scripts = append(scripts, luaPrologue+"return "+g.formatted())
		}
	}
	compareScriptsBut(t, scripts, alike)
}

var (
	address = regexp.MustCompile(`^(table|function|thread): 0x[0-9a-f]+$`)
	named   = regexp.MustCompile(` (local|field|global|upvalue) '[^']*' \((a \w+ value)\)`)
)

// alike tells whether two replies differ in what is known to: an address; the
// sign of a zero, which the interpreter loses; the name of what "and" and "or"
// chose from.
func alike(text string, redis, ours *Value) bool {
	a, b := string(redis.Text), string(ours.Text)
	switch {
	case address.MatchString(a) && address.MatchString(b):
		return strings.HasPrefix(b, a[:strings.Index(a, " ")])
	case strings.ReplaceAll(a, "-0", "0") == strings.ReplaceAll(b, "-0", "0"):
		return true
	case strings.Contains(text, " and ") || strings.Contains(text, " or "):
		return named.ReplaceAllString(a, " $2") == named.ReplaceAllString(b, " $2")
	}
	return false
}
