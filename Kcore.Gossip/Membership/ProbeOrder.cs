namespace Kcore.Gossip;

/// <summary>
/// Round robin over a shuffled list (SWIM §4.3): everybody is probed once a lap, which bounds detection; newcomers enter
/// at a random place so that they are not all met at the lap's end.
/// </summary>
internal sealed class ProbeOrder(Random random)
{
    private readonly List<NodeId> _order = [];
    private int _next;

    public void Add(NodeId id)
    {
        int place = random.Next(_order.Count + 1);
        _order.Insert(place, id);
        _next += place < _next ? 1 : 0;
    }

    public void Remove(NodeId id)
    {
        int place = _order.IndexOf(id);
        if (place >= 0)
        {
            _order.RemoveAt(place);
            _next -= place < _next ? 1 : 0;
        }
    }

    public NodeId? Next()
    {
        if (_order.Count == 0)
        {
            return null;
        }

        if (_next >= _order.Count)
        {
            for (int i = _order.Count - 1; i > 0; i--)
            {
                int j = random.Next(i + 1);
                (_order[i], _order[j]) = (_order[j], _order[i]);
            }

            _next = 0;
        }

        return _order[_next++];
    }
}
