package script

import (
	"math"
	"reflect"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// joinName is the global behind the operator "..": no script can write it.
const joinName = "\x00join"

// rewrite makes calls of all concatenations. The interpreter's own has no
// bound, a string that doubles in a loop takes all memory in a few dozen
// instructions, and it writes numbers in another way than Lua does.
func rewrite(chunk []ast.Stmt) { rewriteValue(reflect.ValueOf(chunk), 0) }

// mostHigh is how high a tree may be. The grammar's own bound holds for what
// nests in the text; of 1+1+1+... each operator is the left operand of the
// next. All that walks through trees calls itself, and the compiler's folding
// of constants takes the square of the height.
const mostHigh = 1000

var exprType = reflect.TypeFor[ast.Expr]()

// rewriteValue walks the tree of statements and expressions; height is how many
// of them v is in.
func rewriteValue(v reflect.Value, height int) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			rewriteValue(v.Index(i), height)
		}
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		rewriteValue(v.Elem(), height)
		if v.Type() != exprType {
			return
		}
		switch e := v.Interface().(type) {
		case *ast.StringConcatOpExpr:
			v.Set(reflect.ValueOf(joined(e)))
		case *ast.ArithmeticOpExpr:
			e.SetLine(lastLine(e.Rhs))
			switch {
			case e.Operator == "%" && !isWhole(e.Rhs):
				v.Set(reflect.ValueOf(calling(remainderName, e, e.Lhs, e.Rhs)))
			case e.Operator == "^":
				v.Set(reflect.ValueOf(calling(powerName, e, e.Lhs, e.Rhs)))
			}
		case *ast.RelationalOpExpr:
			e.SetLine(lastLine(e.Rhs))
		case *ast.AttrGetExpr:
			e.SetLine(lastLine(e.Key))
		case *ast.FuncCallExpr:
			if e.Func != nil {
				e.SetLine(lastLine(e.Func))
			}
		case *ast.NumberExpr:
			f, ok := number(e.Value, 10)
			if !ok {
				panic("malformed number " + e.Value) // the parser takes what is none
			}
			e.Value = strconv.FormatFloat(f, 'g', -1, 64)
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if height++; height > mostHigh {
			panic("chunk has too many syntax levels")
		}
		rewriteValue(v.Elem(), height)
		if loop, ok := v.Interface().(*ast.NumberForStmt); ok {
			startLoop(loop)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); v.Type().Field(i).IsExported() {
				rewriteValue(f, height)
			}
		}
	}
}

// startName is the global that reads the numbers of a loop.
const startName = "\x00start"

// startLoop has the numbers of a loop read as Lua does: texts count.
func startLoop(loop *ast.NumberForStmt) {
	for what, e := range map[string]*ast.Expr{"initial value": &loop.Init, "limit": &loop.Limit, "step": &loop.Step} {
		if *e == nil {
			continue
		}
		if _, plain := (*e).(*ast.NumberExpr); plain {
			continue
		}
		if _, plain := (*e).(*ast.UnaryLenOpExpr); plain {
			continue
		}
		kind := &ast.StringExpr{Value: what}
		kind.SetLine(loop.Line())
		*e = calling(startName, *e, kind, *e)
	}
}

// remainderName is the global behind the operator %: the interpreter's own
// divides in another way. A divisor that is a whole number makes no difference.
const remainderName = "\x00remainder"

// powerName is the global behind the operator ^: it is not a number in the way
// of C where it has no result.
const powerName = "\x00power"

// lastLine is the line on which an expression ends, as far as is known: Lua
// counts an operator to the line of what was read last.
func lastLine(e ast.Expr) int {
	last := max(e.Line(), e.LastLine())
	switch e := e.(type) {
	case *ast.AttrGetExpr:
		last = max(last, lastLine(e.Key))
	case *ast.ArithmeticOpExpr:
		last = max(last, lastLine(e.Rhs))
	case *ast.StringConcatOpExpr:
		last = max(last, lastLine(e.Rhs))
	case *ast.FuncCallExpr:
		for _, a := range e.Args {
			last = max(last, lastLine(a))
		}
	}
	return last
}

func isWhole(e ast.Expr) bool {
	n, ok := e.(*ast.NumberExpr)
	return ok && n.Value != "0" && strings.Trim(n.Value, "0123456789") == ""
}

// calling is a call of a global in the place of an expression.
func calling(name string, instead ast.Expr, arguments ...ast.Expr) ast.Expr {
	fn := &ast.IdentExpr{Value: name}
	call := &ast.FuncCallExpr{Func: fn, AdjustRet: true}
	for _, e := range arguments {
		call.Args = append(call.Args, single(e))
	}
	for _, part := range []ast.Expr{fn, call} {
		part.SetLine(instead.Line())
		part.SetLastLine(instead.LastLine())
	}
	return call
}

// startOfLoop is a number of a loop, or the error that it is none.
func startOfLoop(L *lua.LState) int {
	f, ok := toNumber(L.Get(2))
	if !ok {
		raise(L, "'for' "+checkString(L, 1)+" must be a number")
	}
	L.Push(lua.LNumber(f))
	return 1
}

// eachFunction calls do for the functions in a statement's expressions and
// blocks, those in them not.
func eachFunction(stmt ast.Stmt, do func(*ast.FunctionExpr)) {
	walkFunctions(reflect.ValueOf(stmt), do)
}

func walkFunctions(v reflect.Value, do func(*ast.FunctionExpr)) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			walkFunctions(v.Index(i), do)
		}
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return
		}
		if fn, ok := v.Interface().(*ast.FunctionExpr); ok {
			do(fn)
			return
		}
		walkFunctions(v.Elem(), do)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				walkFunctions(v.Field(i), do)
			}
		}
	}
}

// joined is the call that a concatenation becomes; a .. b .. c is one.
func joined(e *ast.StringConcatOpExpr) ast.Expr {
	arguments := []ast.Expr{e.Lhs}
	if rest, ok := e.Rhs.(*ast.FuncCallExpr); ok && isJoin(rest) {
		arguments = append(arguments, rest.Args...)
	} else {
		arguments = append(arguments, e.Rhs)
	}
	return calling(joinName, e, arguments...)
}

func isJoin(e *ast.FuncCallExpr) bool {
	name, ok := e.Func.(*ast.IdentExpr)
	return ok && name.Value == joinName
}

// single has a call or "..." give one value.
func single(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
	return e
}

// join is the operator "..". Metamethods are asked from the right, as Lua does.
func (v *VM) join(L *lua.LState) int {
	n := L.GetTop()
	size := 0
	for i := 1; i <= n; i++ {
		size += textLength(L.Get(i))
	}
	if size > maxString {
		L.RaiseError("string length overflow")
	}
	v.spend(L, size)
	text, plain := make([]byte, 0, size), true
	for i := 1; i <= n && plain; i++ {
		text, plain = appendText(text, L.Get(i))
	}
	if plain {
		L.Push(v.made(L, text))
		return 1
	}
	right := L.Get(n)
	for i := n - 1; i >= 1; i-- {
		right = joinTwo(L, i, L.Get(i), right)
	}
	L.Push(right)
	return 1
}

// joinTwo joins argument i and what was joined of those after it, through a
// metamethod where there is one.
func joinTwo(L *lua.LState, i int, a, b lua.LValue) lua.LValue {
	text, ok := appendText(nil, a)
	if ok {
		if text, ok = appendText(text, b); ok {
			return lua.LString(text)
		}
	}
	meta := L.GetMetaField(a, "__concat")
	if meta == lua.LNil {
		meta = L.GetMetaField(b, "__concat")
	}
	if meta == lua.LNil {
		culprit := a
		if _, ok := appendText(nil, a); ok {
			culprit = b
			i++
		}
		text := complaint(L, "concatenate", func(inst uint32) int { return argA(inst) + i }, culprit.Type().String())
		L.Error(lua.LString(where(L, 1)+text), 0)
	}
	L.Push(meta)
	L.Push(a)
	L.Push(b)
	L.Call(2, 1)
	v := L.Get(-1)
	L.Pop(1)
	return v
}

// appendText appends a string or a number; ok is false for anything else.
func appendText(to []byte, v lua.LValue) ([]byte, bool) {
	switch v := v.(type) {
	case lua.LString:
		return append(to, v...), true
	case lua.LNumber:
		return appendNumber(to, float64(v), 14), true
	}
	return to, false
}

// textLength is at least how many bytes appendText appends.
func textLength(v lua.LValue) int {
	if s, ok := v.(lua.LString); ok {
		return len(s)
	}
	return 32
}

// appendNumber writes a number as C's %.<digits>g does.
func appendNumber(to []byte, f float64, digits int) []byte {
	switch {
	case f != f && math.Signbit(f): // as 0/0 is, on this kind of machine
		return append(to, "-nan"...)
	case f != f:
		return append(to, "nan"...)
	case f > maxFloat:
		return append(to, "inf"...)
	case f < -maxFloat:
		return append(to, "-inf"...)
	case digits >= 14 && f == float64(int64(f)) && f > -1e14 && f < 1e14 && (f != 0 || 1/f > 0):
		return strconv.AppendInt(to, int64(f), 10)
	}
	return append(to, general(f, digits)...)
}
