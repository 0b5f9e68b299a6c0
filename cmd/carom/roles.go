package main

import (
	"fmt"
	"slices"
	"strings"
)

// The roles, in the order of the data. A node has all of them unless it is told otherwise.
const (
	roleTrack   = "track"
	roleInbound = "inbound"
	roleAPI     = "api"
	roleRelay   = "relay"
	roleRefine  = "refine"
	roleRollup  = "rollup"

	roleSuppress = "suppress"
)

var allRoles = []string{roleTrack, roleInbound, roleAPI, roleRelay, roleRefine, roleRollup, roleSuppress}

// has reports whether the node has a role.
func (c *Config) has(role string) bool { return len(c.Roles) == 0 || slices.Contains(c.Roles, role) }

// suppresses reports whether the node decides about addresses: one that rolls up does, without being told. With Kafka only
// one of them does, see kafka.Options.Suppresses.
func (c *Config) suppresses() bool { return c.has(roleSuppress) || c.has(roleRollup) }

// withKafka reports whether the logs are topics.
func (c *Config) withKafka() bool { return len(c.Kafka.Brokers) > 0 }

func (c *Config) validateRoles() error {
	for _, role := range c.Roles {
		if !slices.Contains(allRoles, role) {
			return fmt.Errorf("roles: %q: want some of %s", role, strings.Join(allRoles, ", "))
		}
	}
	if !c.withKafka() {
		if len(c.Roles) > 0 && c.has(roleRelay) {
			return fmt.Errorf("roles: %s: there is nowhere to relay to while kafka.brokers is empty", roleRelay)
		}
		return nil
	}
	for _, role := range []string{roleTrack, roleInbound, roleAPI} {
		if c.has(role) && !c.has(roleRelay) {
			return fmt.Errorf("roles: %s without %s: what this node hears would stay in its journal: add %[2]s", role, roleRelay)
		}
	}
	for _, worker := range []struct {
		role string
		owns func() ([]int32, error)
	}{{roleRefine, c.Kafka.Refines}, {roleRollup, c.Kafka.RollsUp}, {roleSuppress, c.Kafka.RollsUp}} {
		if !c.has(worker.role) {
			continue
		}
		if _, err := worker.owns(); err != nil {
			return fmt.Errorf("%w; or leave %s out of roles", err, worker.role)
		}
	}
	return nil
}
