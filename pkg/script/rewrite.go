package script

import (
	"math"
	"reflect"
	"strconv"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// joinName is the global behind the operator "..": no script can write it.
const joinName = "\x00join"

// rewrite makes calls of all concatenations. The interpreter's own has no
// bound, a string that doubles in a loop takes all memory in a few dozen
// instructions, and it writes numbers in another way than Lua does.
func rewrite(chunk []ast.Stmt) { rewriteValue(reflect.ValueOf(chunk)) }

var exprType = reflect.TypeFor[ast.Expr]()

// rewriteValue walks the tree of statements and expressions.
func rewriteValue(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			rewriteValue(v.Index(i))
		}
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		rewriteValue(v.Elem())
		if v.Type() != exprType {
			return
		}
		if join, ok := v.Interface().(*ast.StringConcatOpExpr); ok {
			v.Set(reflect.ValueOf(joined(join)))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			rewriteValue(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); v.Type().Field(i).IsExported() {
				rewriteValue(f)
			}
		}
	}
}

// joined is the call that a concatenation becomes; a .. b .. c is one.
func joined(e *ast.StringConcatOpExpr) ast.Expr {
	name := &ast.IdentExpr{Value: joinName}
	call := &ast.FuncCallExpr{Func: name, Args: []ast.Expr{single(e.Lhs)}, AdjustRet: true}
	if rest, ok := e.Rhs.(*ast.FuncCallExpr); ok && isJoin(rest) {
		call.Args = append(call.Args, rest.Args...)
	} else {
		call.Args = append(call.Args, single(e.Rhs))
	}
	name.SetLine(e.Line())
	name.SetLastLine(e.LastLine())
	call.SetLine(e.Line())
	call.SetLastLine(e.LastLine())
	return call
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
		if s, ok := L.Get(i).(lua.LString); ok {
			size += len(s)
		} else {
			size += 32 // a number
		}
	}
	if size > maxString {
		L.RaiseError("string length overflow")
	}
	text, plain := make([]byte, 0, size), true
	for i := 1; i <= n && plain; i++ {
		text, plain = appendText(text, L.Get(i))
	}
	v.ticks.make(len(text))
	if plain {
		L.Push(lua.LString(unsafe.String(unsafe.SliceData(text), len(text)))) // not changed any more
		return 1
	}
	right := L.Get(n)
	for i := n - 1; i >= 1; i-- {
		right = joinTwo(L, L.Get(i), right)
	}
	L.Push(right)
	return 1
}

// joinTwo joins two values, through a metamethod where there is one.
func joinTwo(L *lua.LState, a, b lua.LValue) lua.LValue {
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
		}
		L.RaiseError("attempt to concatenate a %s value", culprit.Type())
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
