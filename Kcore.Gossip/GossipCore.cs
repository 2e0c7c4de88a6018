using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// Membership, failure detection and the replicated catalog of one node, as a state machine: inputs and the time go in,
/// effects and the next deadline come out. It reads no clock, does no I/O and draws only from the given random source,
/// so a cluster of these replays from a seed.
/// <para>
/// A member's life as others see it:
/// none → Alive → Suspect (probe unanswered) → Dead (nobody could reach it in time) → Alive (it spoke again, with a
/// higher incarnation or epoch); from anywhere → Left (it said so). Dead withdraws nothing; only a committed removal does.
/// </para>
/// </summary>
public sealed partial class GossipCore
{
    private readonly GossipOptions _options;
    private readonly Random _random;
    private readonly MemberTable _members;
    private readonly Dictionary<NodeId, TimeSpan> _heard = [];
    private readonly Dictionary<NodeId, uint> _forgotten = [];
    private Member _self;
    private bool _leaving;

    // Of the input being handled.
    private List<GossipEffect> _effects = [];
    private TimeSpan _now;

    /// <param name="restored">What the shell has stored; belongs to the core from here on.</param>
    /// <param name="now">Time since any fixed moment, never running backwards.</param>
    public GossipCore(GossipOptions options, LocalMember self, CatalogState restored, Random random, TimeSpan now)
    {
        _options = options;
        _random = random;
        _now = now;
        _self = new Member
        {
            Id = self.Id,
            Epoch = self.Epoch,
            BootNonce = self.BootNonce,
            Endpoint = self.Endpoint,
            RaftPort = self.RaftPort,
            Name = self.Name,
        };
        _members = new MemberTable(self.Id);
        _members.Set(_self);
        _probeOrder = new ProbeOrder(random);
        _addresses = new AddressBook(options.ReconnectMax, random);
        Catalog = restored;
        // A lost store must not continue a sequence peers have seen, so the first epoch is drawn, not counted.
        _own = restored.GetOrAdd(self.Id, (1UL << 32) | (uint)random.Next());
        StartTombstoneClock();
        // Nodes that are switched on together should not probe in step.
        _probeDue = now + (options.ProbePeriod * random.NextDouble());
        _gcDue = now + GcPeriod;
        NextDeadline = Earliest();
    }

    /// <summary>When <see cref="GossipInput.Tick"/> is wanted, in the time of <c>now</c>.</summary>
    public TimeSpan NextDeadline { get; private set; }

    public MembershipView Members => _members.View;

    public CatalogState Catalog { get; }

    /// <summary>
    /// One number over all live facts and how far each origin is known: equal on all nodes in sync, untouched by
    /// restarts and by members coming and going.
    /// </summary>
    public ulong CatalogDigest => CatalogRoot;

    /// <summary>Digest of all membership statements, equal on all nodes in sync.</summary>
    public ulong MembershipDigest => _members.Root;

    /// <summary>0 when well; higher the less this node trusts its own probes.</summary>
    public int HealthScore { get; private set; }

    /// <summary>Datagrams and streams that broke the format.</summary>
    public long MalformedInputs { get; private set; }

    /// <summary>Frames of kinds this version does not know.</summary>
    public long UnknownFrames { get; private set; }

    /// <summary>How much of the own origin a member has acknowledged, in the current epoch.</summary>
    public ulong AcknowledgedBy(NodeId member) => _acknowledged.GetValueOrDefault(member);

    public void Handle(GossipInput input, TimeSpan now, List<GossipEffect> effects)
    {
        _effects = effects;
        TimeSpan late = now - NextDeadline;
        _now = now > _now ? now : _now;
        if (late >= _options.StallThreshold)
        {
            OnStall(late);
        }

        Dispatch(input);
        RunTimers();
        FlushCatalogEffects();
        NextDeadline = Earliest();
    }

    private void Dispatch(GossipInput input)
    {
        switch (input)
        {
            case GossipInput.Datagram datagram:
                OnDatagram(datagram);
                break;
            case GossipInput.Contact contact:
                OnContact(contact.Endpoint);
                break;
            case GossipInput.Put put:
                OnPut(put.Writes);
                break;
            case GossipInput.PutCluster put:
                OnPutCluster(put);
                break;
            case GossipInput.StreamRequest request:
                OnStreamRequest(request);
                break;
            case GossipInput.StreamReply reply:
                OnStreamReply(reply);
                break;
            case GossipInput.StreamFailed failed:
                OnStreamFailed(failed.Stream);
                break;
            case GossipInput.Readvertise readvertise:
                if (!_self.Endpoint.Equals(readvertise.Gossip))
                {
                    Restate(_self with { Endpoint = readvertise.Gossip, Incarnation = _self.Incarnation + 1 });
                }

                break;
            case GossipInput.Leave:
                _leaving = true;
                Restate(_self with { Status = MemberStatus.Left });
                break;
            case GossipInput.Forget forget:
                OnForget(forget);
                break;
            case GossipInput.Tick:
                break;
        }
    }

    private void RunTimers()
    {
        RunProbes();
        RunSuspicions();
        RunRelays();
        RunContacts();
        RunSync();
        RunRumors();
        RunGarbageCollection();
    }

    private TimeSpan Earliest()
    {
        TimeSpan earliest = _gcDue;
        Consider(NextProbeEvent());
        Consider(NextSuspicionEvent());
        Consider(NextRelayEvent());
        Consider(_addresses.NextDue > _contactAllowed ? _addresses.NextDue : _contactAllowed, _addresses.Count > 0);
        Consider(_rememberDue);
        Consider(NextSyncEvent());
        Consider(NextRumorEvent());
        return earliest;

        void Consider(TimeSpan due, bool wanted = true) => earliest = wanted && due < earliest ? due : earliest;
    }

    private StateDigest DigestFor(NodeId? peer)
    {
        OriginState? theirs = peer is { } id ? Catalog.Find(id) : null;
        return new StateDigest(CatalogRoot, _members.Root, theirs?.Epoch ?? 0, theirs?.Version ?? 0);
    }

    private void Send(NodeId? to, IPEndPoint endpoint, params IReadOnlyList<byte[]> frames)
    {
        foreach (byte[] packet in Packets.Pack(frames, WireLimits.PayloadBytes))
        {
            _effects.Add(new GossipEffect.Send(to, endpoint, packet));
        }
    }

    private void SendTo(NodeId member, params IReadOnlyList<byte[]> frames)
    {
        if (_members.Find(member) is { } record)
        {
            Send(member, record.Endpoint, frames);
        }
    }
}
