namespace Kcore.Gossip.Wire.Sealing;

/// <summary>A table of bounded size that gives up the entry looked at longest ago. Looking up allocates nothing.</summary>
internal sealed class LeastRecentlyUsed<TKey, TValue>(int capacity)
    where TKey : notnull, IEquatable<TKey>
{
    private readonly Dictionary<TKey, LinkedListNode<KeyValuePair<TKey, TValue>>> _index = [];

    // First is the most recently used.
    private readonly LinkedList<KeyValuePair<TKey, TValue>> _order = new();

    public int Count => _index.Count;

    public IEnumerable<TValue> Values => _order.Select(entry => entry.Value);

    public bool TryGet(TKey key, out TValue value)
    {
        if (!_index.TryGetValue(key, out LinkedListNode<KeyValuePair<TKey, TValue>>? node))
        {
            value = default!;
            return false;
        }

        value = node.Value.Value;
        return true;
    }

    /// <summary>Makes an entry the last one to be given up.</summary>
    public void Touch(TKey key)
    {
        if (_index.TryGetValue(key, out LinkedListNode<KeyValuePair<TKey, TValue>>? node) && node != _order.First)
        {
            _order.Remove(node);
            _order.AddFirst(node);
        }
    }

    /// <summary>Adds an absent key. True when another entry had to go, which is then in <paramref name="evicted"/>.</summary>
    public bool Add(TKey key, TValue value, out TValue evicted)
    {
        evicted = default!;
        bool full = _index.Count == capacity;
        if (full)
        {
            LinkedListNode<KeyValuePair<TKey, TValue>> last = _order.Last!;
            evicted = last.Value.Value;
            _order.RemoveLast();
            _index.Remove(last.Value.Key);
        }

        _index.Add(key, _order.AddFirst(new KeyValuePair<TKey, TValue>(key, value)));
        return full;
    }

    /// <summary>Takes out every entry whose key matches, and returns the values.</summary>
    public List<TValue> RemoveWhere(Predicate<TKey> match)
    {
        List<TValue> removed = [];
        for (LinkedListNode<KeyValuePair<TKey, TValue>>? node = _order.First; node is not null;)
        {
            LinkedListNode<KeyValuePair<TKey, TValue>>? next = node.Next;
            if (match(node.Value.Key))
            {
                removed.Add(node.Value.Value);
                _index.Remove(node.Value.Key);
                _order.Remove(node);
            }

            node = next;
        }

        return removed;
    }
}
