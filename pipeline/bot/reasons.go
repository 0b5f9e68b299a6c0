package bot

import (
	"fmt"
)

// codeID numbers the codes of one data file from 1.
type codeID uint8

const noCode codeID = 0

// methodCode is the reason of a verdict on a request that isn't GET. It is no rule of a file, because no operator
// could mean anything else by it.
const methodCode = "method"

// maxCodes bounds the codes of one data file, and so the table of reasons.
const maxCodes = 64

// codes are the distinct codes of one data file.
type codes struct {
	names []string
}

// id returns the number of a code, which it gets when it is first seen.
func (c *codes) id(name string) (codeID, error) {
	for i, n := range c.names {
		if n == name {
			return codeID(i + 1), nil
		}
	}
	if len(c.names) == maxCodes {
		return noCode, fmt.Errorf("code %q: want at most %d different codes", name, maxCodes)
	}
	c.names = append(c.names, name)
	return codeID(len(c.names)), nil
}

// reasons holds the reasons of every verdict that there can be, made beforehand, so that Judge allocates none.
type reasons struct {
	table  [2][][]string // without and with methodCode; header code * agents + agent code
	agents int
}

func newReasons(header, agent *codes) reasons {
	r := reasons{agents: len(agent.names) + 1}
	for m := range r.table {
		for h := range len(header.names) + 1 {
			for a := range r.agents {
				var list []string
				if m == 1 {
					list = append(list, methodCode)
				}
				if h > 0 {
					list = append(list, header.names[h-1])
				}
				if a > 0 {
					list = append(list, agent.names[a-1])
				}
				// Without spare capacity, an append by a consumer can't reach into what others share.
				r.table[m] = append(r.table[m], list[:len(list):len(list)])
			}
		}
	}
	return r
}

func (r *reasons) of(method bool, header, agent codeID) []string {
	m := 0
	if method {
		m = 1
	}
	return r.table[m][int(header)*r.agents+int(agent)]
}
