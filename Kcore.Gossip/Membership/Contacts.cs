using System.Net;

namespace Kcore.Gossip;

/// <summary>Finding others: the first ones, and those that were lost, after any length of time.</summary>
internal sealed class Contacts(Turn turn, MemberTable members, Outbox outbox)
{
    private const int RememberedMembers = 256;
    private static readonly TimeSpan HintDelay = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan DeadDelay = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RememberDelay = TimeSpan.FromSeconds(1);
    private readonly AddressBook _addresses = new(turn.Options.ReconnectMax, turn.Random);
    private TimeSpan _allowed;
    private TimeSpan _rememberDue = TimeSpan.MaxValue;

    /// <summary>A node that leaves looks for nobody.</summary>
    public bool IsRetired { get; set; }

    public TimeSpan NextEvent => Turn.Sooner(
        _rememberDue,
        IsRetired || _addresses.Count == 0 ? TimeSpan.MaxValue : Turn.Later(_addresses.NextDue, _allowed));

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
        _rememberDue = Turn.Sooner(_rememberDue, turn.Now + RememberDelay);
    }

    public void Run()
    {
        if (!IsRetired && turn.Now >= _addresses.NextDue && turn.Now >= _allowed)
        {
            // Alone, finding anybody is all that matters; in a cluster all nodes together make two attempts a second.
            bool alone = members.ActiveCount == 1;
            foreach (IPEndPoint endpoint in _addresses.TakeDue(turn.Now, alone ? 8 : 1))
            {
                outbox.Greet(endpoint);
            }

            _allowed = turn.Now + (alone ? TimeSpan.FromMilliseconds(250) : TimeSpan.FromSeconds(Math.Max(1, members.ActiveCount / 2.0)));
        }

        if (turn.Now >= _rememberDue)
        {
            _rememberDue = TimeSpan.MaxValue;
            turn.Emit(new GossipEffect.RememberMembers(
                [.. members.All.Where(m => m.Id != members.Self.Id && m.Status != MemberStatus.Left).OrderBy(m => m.Status).Take(RememberedMembers)]));
        }
    }
}
