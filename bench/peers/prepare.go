package main

// prepare makes the loads.
func (b *bench) prepare(o *options, peers []peer) error {
	speaks := func(protocol string) bool {
		for _, p := range peers {
			if p.protocol == protocol {
				return true
			}
		}
		return false
	}
	if o.Load == ownLoad {
		b.loads[overHTTP], b.loads[overSMTP] = ownHTTP(&b.tools), ownSMTP(&b.tools)
		return nil
	}
	if speaks(overHTTP) && len(o.Connections) > 0 {
		w, err := newWrk(b.dir, b.minter, b.warmup, b.duration, b.cores)
		if err != nil {
			return err
		}
		b.loads[overHTTP] = w
	}
	if speaks(overSMTP) && len(o.Sessions) > 0 {
		s, err := newSMTPSource(b.dir, b.minter)
		if err != nil {
			return err
		}
		b.loads[overSMTP] = s
	}
	return nil
}
