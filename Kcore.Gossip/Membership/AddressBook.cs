using System.Net;

namespace Kcore.Gossip;

/// <summary>
/// Addresses at which somebody may be reached again: hints and dead members. They are tried for ever, less and less
/// often, because nothing else heals a split after any length of time.
/// </summary>
internal sealed class AddressBook(TimeSpan retryMax, Random random)
{
    private const int Capacity = 1024;
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(500);
    private readonly List<Address> _addresses = [];

    public int Count => _addresses.Count;

    public TimeSpan NextDue { get; private set; } = TimeSpan.MaxValue;

    /// <summary>Adds an address, or makes a known one due now: a fresh hint is a reason to try at once.</summary>
    public void Add(IPEndPoint endpoint, TimeSpan now, TimeSpan delay = default)
    {
        Address? known = _addresses.Find(a => a.Endpoint.Equals(endpoint));
        if (known is null)
        {
            if (_addresses.Count == Capacity)
            {
                _addresses.RemoveAt(random.Next(Capacity));
            }

            _addresses.Add(known = new Address(endpoint));
        }

        known.Due = now + delay;
        NextDue = known.Due < NextDue ? known.Due : NextDue;
    }

    public void Remove(IPEndPoint endpoint)
    {
        _addresses.RemoveAll(a => a.Endpoint.Equals(endpoint));
        Schedule();
    }

    /// <summary>Takes up to <paramref name="max"/> due addresses, chosen at random, and puts off their next turn.</summary>
    public List<IPEndPoint> TakeDue(TimeSpan now, int max)
    {
        List<Address> due = [.. _addresses.Where(a => a.Due <= now)];
        List<IPEndPoint> taken = [];
        while (taken.Count < max && due.Count > 0)
        {
            int pick = random.Next(due.Count);
            Address address = due[pick];
            due.RemoveAt(pick);
            taken.Add(address.Endpoint);
            address.Retry = address.Retry == default ? FirstRetry : address.Retry * 2;
            address.Retry = address.Retry < retryMax ? address.Retry : retryMax;
            // A spread of a quarter keeps the two halves of a healed split from missing each other in step.
            address.Due = now + (address.Retry * (0.75 + (random.NextDouble() / 2)));
        }

        Schedule();
        return taken;
    }

    private void Schedule() => NextDue = _addresses.Count == 0 ? TimeSpan.MaxValue : _addresses.Min(a => a.Due);

    private sealed class Address(IPEndPoint endpoint)
    {
        public IPEndPoint Endpoint { get; } = endpoint;

        public TimeSpan Due { get; set; }

        public TimeSpan Retry { get; set; }
    }
}
