using System.Net;

namespace Kcore.Gossip;

/// <summary>
/// Addresses at which somebody may be reached again: hints and dead members. They are tried for ever, less and less
/// often, because nothing else heals a split after any length of time.
/// </summary>
internal sealed class AddressBook(Random random)
{
    private const int Capacity = 1024;
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(500);
    private readonly Dictionary<IPEndPoint, Address> _addresses = [];
    private readonly SortedSet<Address> _byTime = new(DueOrder.Instance);
    private long _order;

    public int Count => _addresses.Count;

    public TimeSpan NextDue => _byTime.Min?.Due ?? TimeSpan.MaxValue;

    /// <summary>Adds an address, or makes a known one due now: a fresh hint is a reason to try at once.</summary>
    public void Add(IPEndPoint endpoint, TimeSpan now, TimeSpan delay = default)
    {
        if (_addresses.TryGetValue(endpoint, out Address? known))
        {
            Schedule(known, now + delay);
            return;
        }

        if (_addresses.Count == Capacity)
        {
            // The one that is due last has failed most often.
            Remove(_byTime.Max!.Endpoint);
        }

        var address = new Address(endpoint, _order++) { Due = now + delay };
        _addresses[endpoint] = address;
        _byTime.Add(address);
    }

    public void Remove(IPEndPoint endpoint)
    {
        if (_addresses.Remove(endpoint, out Address? address))
        {
            _byTime.Remove(address);
        }
    }

    /// <summary>Takes up to <paramref name="max"/> due addresses, the longest due first, and puts off their next turn.</summary>
    public List<IPEndPoint> TakeDue(TimeSpan now, int max, TimeSpan retryMax)
    {
        List<IPEndPoint> taken = [];
        while (taken.Count < max && _byTime.Min is { } address && address.Due <= now)
        {
            taken.Add(address.Endpoint);
            address.Retry = address.Retry == default ? FirstRetry : Turn.Sooner(address.Retry * 2, retryMax);
            // A spread of a quarter keeps the two halves of a healed split from missing each other in step.
            Schedule(address, now + (address.Retry * (0.75 + (random.NextDouble() / 2))));
        }

        return taken;
    }

    private void Schedule(Address address, TimeSpan due)
    {
        _byTime.Remove(address);
        address.Due = due;
        _byTime.Add(address);
    }

    private sealed class Address(IPEndPoint endpoint, long order)
    {
        public IPEndPoint Endpoint { get; } = endpoint;

        public long Order { get; } = order;

        public TimeSpan Due { get; set; }

        public TimeSpan Retry { get; set; }
    }

    private sealed class DueOrder : IComparer<Address>
    {
        public static readonly DueOrder Instance = new();

        public int Compare(Address? x, Address? y)
        {
            int order = x!.Due.CompareTo(y!.Due);
            return order != 0 ? order : x.Order.CompareTo(y.Order);
        }
    }
}
