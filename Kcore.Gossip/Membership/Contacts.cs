using System.Net;

namespace Kcore.Gossip;

/// <summary>Finding others: the first ones, and those that were lost, after any length of time.</summary>
internal sealed class Contacts(Turn turn, MemberTable members, Outbox outbox)
{
    private const int RememberedMembers = 256;
    private static readonly TimeSpan HintDelay = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan DeadDelay = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RetryMaxLeast = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan RememberDelay = TimeSpan.FromSeconds(1);
    private readonly AddressBook _addresses = new(turn.Random);
    private TimeSpan _lastAttempt;

    /// <summary>The part of the pause that lies between the last attempt and the next.</summary>
    private double _spread;
    private TimeSpan _rememberDue = TimeSpan.MaxValue;

    /// <summary>A node that leaves looks for nobody.</summary>
    public bool IsRetired { get; set; }

    public TimeSpan NextEvent => Turn.Sooner(
        _rememberDue,
        IsRetired || _addresses.Count == 0 ? TimeSpan.MaxValue : Turn.Later(_addresses.NextDue, Allowed));

    /// <summary>Alone, finding anybody is all that matters; in a cluster all nodes together make two attempts a second.</summary>
    private TimeSpan Pause => members.ActiveCount == 1 ? TimeSpan.FromMilliseconds(250) : TimeSpan.FromSeconds(Math.Max(1, members.ActiveCount / 2.0));

    private TimeSpan Allowed => _lastAttempt + (Pause * _spread);

    /// <summary>
    /// Longest pause between two attempts at one address. Where few look for few it is shorter than the option, so that
    /// about one attempt a second remains of all: two halves that can meet again should not take a minute to find out.
    /// </summary>
    private TimeSpan RetryMax => Turn.Sooner(
        turn.Options.ReconnectMax, Turn.Later(RetryMaxLeast, TimeSpan.FromSeconds((double)members.ActiveCount * _addresses.Count)));

    /// <summary>Somebody may live here.</summary>
    public void Hint(IPEndPoint endpoint)
    {
        if (endpoint.Equals(members.Self.Endpoint) || members.All.Any(m => m.Status == MemberStatus.Alive && m.Endpoint.Equals(endpoint)))
        {
            return;
        }

        _addresses.Add(endpoint, turn.Now, HintDelay);
        outbox.Greet(endpoint);
    }

    /// <summary>This address is our own.</summary>
    public void Drop(IPEndPoint endpoint) => _addresses.Remove(endpoint);

    public void OnChanged(Member? before, Member after)
    {
        if (before is not null && !before.Endpoint.Equals(after.Endpoint))
        {
            _addresses.Remove(before.Endpoint);
        }

        if (after.Status == MemberStatus.Dead)
        {
            if (turn.Now >= Allowed)
            {
                // All learn of it at one time; without a draw all would try at one time too, and then none for a while.
                _lastAttempt = turn.Now;
                _spread = turn.Random.NextDouble();
            }

            _addresses.Add(after.Endpoint, turn.Now, DeadDelay);
        }
        else if (after.Status != MemberStatus.Suspect)
        {
            _addresses.Remove(after.Endpoint);
        }

        _rememberDue = Turn.Sooner(_rememberDue, turn.Now + RememberDelay);
    }

    public void OnForgotten(Member member)
    {
        _addresses.Remove(member.Endpoint);
        if (members.ActiveCount == 1 && _addresses.Count == 0)
        {
            // Its address is the only one left to ask: others of the cluster may live there by now.
            _addresses.Add(member.Endpoint, turn.Now, DeadDelay);
        }

        _rememberDue = Turn.Sooner(_rememberDue, turn.Now + RememberDelay);
    }

    public void Run()
    {
        if (!IsRetired && turn.Now >= _addresses.NextDue && turn.Now >= Allowed)
        {
            foreach (IPEndPoint endpoint in _addresses.TakeDue(turn.Now, members.ActiveCount == 1 ? 8 : 1, RetryMax))
            {
                outbox.Greet(endpoint);
            }

            _lastAttempt = turn.Now;
            _spread = 0.5 + turn.Random.NextDouble();
        }

        if (turn.Now >= _rememberDue)
        {
            _rememberDue = TimeSpan.MaxValue;
            turn.Emit(new GossipEffect.RememberMembers(
                [.. members.All.Where(m => m.Id != members.Self.Id && m.Status != MemberStatus.Left).OrderBy(m => m.Status).Take(RememberedMembers)]));
        }
    }
}
