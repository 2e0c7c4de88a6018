namespace Kcore.Simulation.Engine;

internal enum EventKind : byte
{
    /// <summary>A deadline the core asked for.</summary>
    Timer,

    /// <summary>A stall is over.</summary>
    Wake,

    /// <summary>An input arrives at a node.</summary>
    Input,

    /// <summary>A stream has taken too long.</summary>
    StreamLimit,

    /// <summary>Something a scenario wanted to do at this time.</summary>
    Action,
}

/// <summary>One entry of the calendar. Events of an earlier life of their node are void.</summary>
internal readonly record struct SimulatedEvent(long At, long Order, EventKind Kind, int Node, int Life, object? Body);

/// <summary>
/// The calendar: a heap with four children a node, of structs, because a simulated second of a thousand nodes is ten
/// thousand events. Events of one time come out in the order in which they went in.
/// </summary>
internal sealed class EventHeap
{
    private SimulatedEvent[] _items = new SimulatedEvent[256];
    private long _order;

    public int Count { get; private set; }

    public long NextAt => Count == 0 ? long.MaxValue : _items[0].At;

    public void Add(long at, EventKind kind, int node, int life, object? body)
    {
        if (Count == _items.Length)
        {
            Array.Resize(ref _items, Count * 2);
        }

        var item = new SimulatedEvent(at, _order++, kind, node, life, body);
        int place = Count++;
        while (place > 0)
        {
            int parent = (place - 1) >> 2;
            if (_items[parent].At <= at)
            {
                break;
            }

            _items[place] = _items[parent];
            place = parent;
        }

        _items[place] = item;
    }

    public SimulatedEvent Take()
    {
        SimulatedEvent first = _items[0];
        SimulatedEvent last = _items[--Count];
        _items[Count] = default;
        int place = 0;
        while (true)
        {
            int child = (place << 2) + 1;
            if (child >= Count)
            {
                break;
            }

            int smallest = child;
            int end = Math.Min(child + 4, Count);
            for (int other = child + 1; other < end; other++)
            {
                smallest = Before(_items[other], _items[smallest]) ? other : smallest;
            }

            if (!Before(_items[smallest], last))
            {
                break;
            }

            _items[place] = _items[smallest];
            place = smallest;
        }

        if (Count > 0)
        {
            _items[place] = last;
        }

        return first;
    }

    private static bool Before(in SimulatedEvent a, in SimulatedEvent b) => a.At < b.At || (a.At == b.At && a.Order < b.Order);
}
