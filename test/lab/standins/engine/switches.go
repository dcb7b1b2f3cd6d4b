package engine

import "os"

// Switches are files that a test puts on a host, to let a stand-in go wrong as the real program can. They are the stand-ins' alone.
const (
	// The next token that is made has expired already. The file goes with it.
	SwitchExpiredToken = "/run/stand-in-expired-token"
	// The network of pods does not come, as long as the file is there: the node does not get Ready.
	SwitchNoNetwork = "/run/stand-in-no-network"
)

// SwitchedOnce says whether a switch is on, and turns it off.
func SwitchedOnce(file string) bool { return os.Remove(file) == nil }
