package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"carom/kv"
)

// adoptAgain is how long what could not be handed to the log waits for the next try.
const adoptAgain = time.Second

// Adopt takes over what another store holds: what this node was told while its log was another one. That holds at once.
// Run hands it to the log, and removes it from the other store when it is durable. Call it before Run.
func (c *Controls) Adopt(from *kv.Store) error {
	left := 0
	err := each(from, entriesKey(), entriesKey(), func(key, value []byte) (bool, error) {
		entry, err := readRow(key, value)
		if err == nil && !c.table.set(&entry) {
			left++
		}
		return true, err
	})
	c.table.publish()
	if err != nil {
		return fmt.Errorf("adopt controls: %w", err)
	}
	if left > 0 {
		c.logger.Error("more entries than control.max_denied, control.max_self or control.max_webhooks allow: they do not hold on this node", zap.Int("entries", left))
	}
	c.adopted = from
	return nil
}

// handOver writes what was adopted to the log.
func (c *Controls) handOver(ctx context.Context) error {
	if c.adopted == nil {
		return nil
	}
	for handed := 0; ; {
		page, err := c.adoptedPage()
		if err != nil {
			return fmt.Errorf("hand over controls: %w", err)
		}
		if len(page) == 0 {
			if handed > 0 {
				c.logger.Info("handed to the log what this node was told before", zap.Int("entries", handed))
			}
			return nil
		}
		switch err := c.Set(ctx, page...); {
		case errors.Is(err, ErrFull):
			c.logger.Error("not all that this node was told before fits: raise the setting, and restart", zap.Error(err))
			return nil
		case err != nil:
			select { // what is in the table holds here meanwhile
			case <-time.After(adoptAgain):
				continue
			case <-ctx.Done():
				return nil
			}
		}
		if err := c.disown(page); err != nil {
			return fmt.Errorf("hand over controls: %w", err)
		}
		handed += len(page)
	}
}

// adoptedPage returns some of what is still in the other store.
func (c *Controls) adoptedPage() (page []Control, err error) {
	err = each(c.adopted, entriesKey(), entriesKey(), func(key, value []byte) (bool, error) {
		entry, err := readRow(key, value)
		page = append(page, entry)
		return len(page) < maxAtOnce, err
	})
	return page, err
}

// disown removes entries from the other store.
func (c *Controls) disown(page []Control) error {
	b := c.adopted.NewBatch()
	defer func() { _ = b.Close() }()
	for i := range page {
		if err := b.Delete(rowKey(&page[i]), nil); err != nil {
			return err
		}
	}
	return c.adopted.Commit(b)
}
