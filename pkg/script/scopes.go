package script

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// Which register holds which variable until where. The compiler notes the
// names of a function's variables in order, but neither their registers nor,
// where there are blocks, where they end: both follow from the text.

// scope is where a variable lives.
type scope struct {
	reg      int
	whole    bool // until the function's end
	lastLine int  // of its block
}

// scopes is those of each function of a chunk, in the order of its variables.
type scopes map[*lua.FunctionProto][]scope

// newScopes reads them off a chunk that became proto.
func newScopes(chunk []ast.Stmt, proto *lua.FunctionProto) scopes {
	w := scopeWalk{byName: map[string][]scope{}}
	w.function(nil, chunk)
	for len(w.functions) > 0 {
		fn := w.functions[0]
		w.functions = w.functions[1:]
		w.function(fn.ParList, fn.Stmts)
	}
	s := scopes{}
	s.match(proto, w.byName)
	return s
}

// match gives a function, and those in it, the scopes of the text with the
// same variables in the same order.
func (s scopes) match(proto *lua.FunctionProto, byName map[string][]scope) {
	var names strings.Builder
	for _, one := range proto.DbgLocals {
		names.WriteString(one.Name + ",")
	}
	if found, ok := byName[names.String()]; ok {
		s[proto] = found
	} else if rest, method := strings.CutPrefix(names.String(), "self,"); method {
		if found, ok := byName[rest]; ok {
			s[proto] = []scope{{reg: 0, whole: true}}
			for _, one := range found {
				one.reg++
				s[proto] = append(s[proto], one)
			}
		}
	}
	for _, inner := range proto.FunctionPrototypes {
		s.match(inner, byName)
	}
}

// scopeWalk goes through the statements of functions as the compiler does.
type scopeWalk struct {
	byName    map[string][]scope // by the names of a function's variables
	functions []*ast.FunctionExpr
	names     strings.Builder
	found     []scope
}

func (w *scopeWalk) function(params *ast.ParList, body []ast.Stmt) {
	w.names.Reset()
	w.found = nil
	reg := 0
	if params != nil {
		reg = w.declare(reg, true, 0, params.Names...)
		if params.HasVargs {
			reg = w.declare(reg, true, 0, "arg")
		}
	}
	for _, stmt := range body {
		eachFunction(stmt, func(fn *ast.FunctionExpr) { w.functions = append(w.functions, fn) })
	}
	w.block(body, reg, true, 0)
	w.byName[w.names.String()] = w.found
}

func (w *scopeWalk) declare(reg int, whole bool, lastLine int, names ...string) int {
	for _, name := range names {
		w.names.WriteString(name + ",")
		w.found = append(w.found, scope{reg, whole, lastLine})
		reg++
	}
	return reg
}

// block goes through statements; reg is the first free register.
func (w *scopeWalk) block(body []ast.Stmt, reg int, whole bool, lastLine int) {
	for _, stmt := range body {
		end := stmt.LastLine()
		switch stmt := stmt.(type) {
		case *ast.LocalAssignStmt:
			reg = w.declare(reg, whole, lastLine, stmt.Names...)
		case *ast.DoBlockStmt:
			w.block(stmt.Stmts, reg, false, end)
		case *ast.WhileStmt:
			w.block(stmt.Stmts, reg, false, end)
		case *ast.RepeatStmt:
			w.block(stmt.Stmts, reg, false, end)
		case *ast.IfStmt:
			w.block(stmt.Then, reg, false, end)
			w.block(stmt.Else, reg, false, end)
		case *ast.NumberForStmt:
			inner := w.declare(reg, false, end, "(for index)", "(for limit)", "(for step)", stmt.Name)
			w.block(stmt.Stmts, inner, false, end)
		case *ast.GenericForStmt:
			inner := w.declare(reg, false, end, "(for generator)", "(for state)", "(for control)")
			w.block(stmt.Stmts, w.declare(inner, false, end, stmt.Names...), false, end)
		}
	}
}

// scopesOf is those of a function of the script that runs.
func scopesOf(L *lua.LState, proto *lua.FunctionProto) []scope {
	if t, ok := L.Context().(*ticker); ok && t.vm.run != nil {
		return t.vm.run.Script.scopes[proto]
	}
	return nil
}

// local is the variable in a register at instruction pc, "" when there is none.
func (p place) local(L *lua.LState, pc, reg int) string {
	proto := p.fn.Proto
	found := scopesOf(L, proto)
	for i := len(found) - 1; i >= 0; i-- {
		one := proto.DbgLocals[i]
		start := one.StartPc
		for j := i; strings.HasPrefix(proto.DbgLocals[j].Name, "(") && j+1 < len(found); j++ {
			start = proto.DbgLocals[j+1].StartPc // those of a loop are set together
		}
		if found[i].reg != reg || start > pc {
			continue
		}
		line := proto.DbgSourcePositions[pc]
		if found[i].whole || line < found[i].lastLine || line == found[i].lastLine && p.setter(pc, reg) < start {
			return one.Name
		}
		return ""
	}
	return ""
}
