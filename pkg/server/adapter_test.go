package server
import ("kvstored/pkg/engine";"kvstored/pkg/command")
type adapter struct{ *engine.Host }
func (adapter) Maintain(int64, uint64) (bool,int64) { return false,0 }
func (adapter) Release(uint64) {}
func (adapter) Status() []command.Pair { return nil }
