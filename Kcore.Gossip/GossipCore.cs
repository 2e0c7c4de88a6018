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
public sealed class GossipCore : IMemberListener
{
    private readonly Turn _turn;
    private readonly MemberTable _members;
    private readonly LocalHealth _health;
    private readonly Outbox _outbox;
    private readonly OutboundStreams _streams;
    private readonly Disseminator _rumors;
    private readonly Roster _roster;
    private readonly Contacts _contacts;
    private readonly FailureDetector _detector;
    private readonly Replica _replica;
    private readonly TombstoneDisposal _tombstones;
    private readonly OwnOrigin _own;
    private readonly ClusterOrigin _cluster;
    private readonly PeerFacts _facts;
    private readonly AntiEntropy _repair;
    private readonly StreamAnswers _answers;
    private readonly FrameReader _frames;
    private readonly Exchange _exchange = new();

    /// <param name="restored">What the shell has stored; belongs to the core from here on.</param>
    /// <param name="now">Time since any fixed moment, never running backwards.</param>
    public GossipCore(GossipOptions options, LocalMember self, CatalogState restored, Random random, TimeSpan now)
    {
        Catalog = restored;
        _turn = new Turn(options, random, now);
        _members = new MemberTable(new Member
        {
            Id = self.Id,
            Epoch = self.Epoch,
            BootNonce = self.BootNonce,
            Endpoint = self.Endpoint,
            RaftPort = self.RaftPort,
            Name = self.Name,
        });
        _health = new LocalHealth(options);
        _outbox = new Outbox(_turn, _members, restored);
        _streams = new OutboundStreams(_turn, _members);
        _rumors = new Disseminator(_turn, _outbox, _members, restored);
        _roster = new Roster(_turn, _members, _rumors, _health, this);
        _contacts = new Contacts(_turn, _members, _outbox);
        _detector = new FailureDetector(_turn, _members, _roster, _rumors, _outbox, _streams, _health);
        _replica = new Replica(_turn, restored, _rumors, new PendingRows(_turn, restored));
        _tombstones = new TombstoneDisposal(_turn, _members, restored, _replica);
        _own = new OwnOrigin(_turn, _members, restored, _replica, _rumors, _tombstones);
        _cluster = new ClusterOrigin(self.Id, restored, _replica);
        _facts = new PeerFacts(_turn, _members, _roster, restored, _replica, _own);
        var summaries = new Summaries(_members, restored);
        _repair = new AntiEntropy(_turn, _members, restored, _outbox, _streams, summaries, _own);
        _answers = new StreamAnswers(_turn, _members, restored);
        var comparison = new Comparison(_members, _roster, restored, summaries, _own, _facts);
        _frames = new FrameReader(_roster, _detector, _facts, comparison, _repair);
        _tombstones.Start();
        NextDeadline = Earliest();
    }

    /// <summary>When <see cref="GossipInput.Tick"/> is wanted, in the time of <c>now</c>.</summary>
    public TimeSpan NextDeadline { get; private set; }

    public MembershipView Members => _members.View;

    public CatalogState Catalog { get; }

    /// <summary>Rises with every change of what is visible in the catalog.</summary>
    public long CatalogRevision => _replica.Revision;

    /// <summary>
    /// One number over all live facts and how far each origin is known: equal on all nodes in sync, untouched by
    /// restarts and by members coming and going.
    /// </summary>
    public ulong CatalogDigest => Catalog.Root;

    /// <summary>Digest of all membership statements, equal on all nodes in sync.</summary>
    public ulong MembershipDigest => _members.Root;

    /// <summary>0 when well; higher the less this node trusts its own probes.</summary>
    public int HealthScore => _health.Score;

    /// <summary>Datagrams and streams that broke the format.</summary>
    public long MalformedInputs => _frames.Malformed;

    /// <summary>Frames of kinds this version does not know.</summary>
    public long UnknownFrames => _frames.Unknown;

    /// <summary>How much of the own origin a member has acknowledged, in the current epoch.</summary>
    public ulong AcknowledgedBy(NodeId member) => _members.AcknowledgedBy(member);

    public void Handle(GossipInput input, TimeSpan now, List<GossipEffect> effects)
    {
        TimeSpan late = now - NextDeadline;
        _turn.Begin(now, effects);
        if (late >= _turn.Options.StallThreshold)
        {
            _detector.OnStall(late);
        }

        Dispatch(input);
        _detector.Run();
        _contacts.Run();
        _repair.Run();
        _replica.Run();
        _rumors.Run();
        _tombstones.Run();
        _replica.Flush();
        // What is due already is due now: a deadline in the past would later pass for a stall of ours.
        NextDeadline = Turn.Later(Earliest(), _turn.Now);
    }

    void IMemberListener.Changed(Member? before, Member after, Accusation? accusation)
    {
        _detector.OnChanged(before, after, accusation);
        _contacts.OnChanged(before, after);
        if (!after.IsActive)
        {
            _repair.OnGone(after.Id);
        }
        else if (before is not { IsActive: true })
        {
            _repair.OnAppeared(after.Id, isThere: after.Id == _exchange.From);
        }
    }

    void IMemberListener.Repeated(Member subject, Accusation accusation) => _detector.OnRepeated(subject, accusation);

    void IMemberListener.Yielded() => _own.IsFrozen = true;

    void IMemberListener.Forgotten(Member member)
    {
        _detector.OnForgotten(member);
        _contacts.OnForgotten(member);
        _repair.OnGone(member.Id);
    }

    private void Dispatch(GossipInput input)
    {
        switch (input)
        {
            case GossipInput.Datagram datagram:
                OnDatagram(datagram);
                break;
            case GossipInput.Contact contact:
                _contacts.Hint(contact.Endpoint);
                break;
            case GossipInput.Put put:
                _own.Put(put.Writes);
                break;
            case GossipInput.PutCluster put:
                _cluster.Put(put);
                break;
            case GossipInput.StreamRequest request:
                OnStreamRequest(request);
                break;
            case GossipInput.StreamWritable writable:
                _answers.OnWritable(writable.Stream);
                break;
            case GossipInput.StreamAborted aborted:
                _answers.OnAborted(aborted.Stream);
                break;
            case GossipInput.StreamReply reply:
                OnStreamReply(reply);
                break;
            case GossipInput.StreamFailed failed:
                EndStream(failed.Stream, failed: true);
                break;
            case GossipInput.Readvertise readvertise:
                if (!_members.Self.Endpoint.Equals(readvertise.Gossip))
                {
                    _roster.Restate(_members.Self with { Endpoint = readvertise.Gossip, Incarnation = _members.Self.Incarnation + 1 });
                }

                break;
            case GossipInput.Leave when _members.Self.Status == MemberStatus.Left:
                break;
            case GossipInput.Leave:
                _detector.IsRetired = true;
                _contacts.IsRetired = true;
                _roster.Restate(_members.Self with { Status = MemberStatus.Left });
                break;
            case GossipInput.Forget forget:
                if (_roster.Forget(forget.Id, forget.Epoch))
                {
                    _facts.Forget(forget.Id);
                }

                break;
            case GossipInput.Tick:
                break;
        }
    }

    private TimeSpan Earliest()
    {
        TimeSpan earliest = Turn.Sooner(_detector.NextEvent, _contacts.NextEvent);
        earliest = Turn.Sooner(earliest, Turn.Sooner(_repair.NextEvent, _replica.NextEvent));
        return Turn.Sooner(earliest, Turn.Sooner(_rumors.NextEvent, _tombstones.NextEvent));
    }

    private void OnDatagram(GossipInput.Datagram datagram)
    {
        if (datagram.Payload.Length > WireLimits.DatagramBytes)
        {
            _frames.Refuse();
            return;
        }

        if (datagram.From == _members.Self.Id)
        {
            OnOwnId(datagram);
            return;
        }

        if (_roster.IsForgotten(datagram.From) && !IntroducesItself(datagram.Payload.Span))
        {
            return;
        }

        _detector.Heard(datagram.From);
        _exchange.Begin(datagram.From, datagram.Source);
        _frames.Read(datagram.Payload.Span, _exchange);
        _exchange.AddRequests();
        if (_exchange.Reply.Count > 0)
        {
            _outbox.Send(datagram.From, datagram.Source, _exchange.Reply);
        }
    }

    /// <summary>A removed node may come back only by introducing itself with a later epoch.</summary>
    private static bool IntroducesItself(ReadOnlySpan<byte> payload) => payload.Length > 0 && payload[0] == (byte)FrameType.Member;

    private void OnOwnId(GossipInput.Datagram datagram)
    {
        try
        {
            if (_roster.OnOwnId(datagram.Payload.Span, datagram.Source))
            {
                _contacts.Drop(datagram.Source);
            }
        }
        catch (WireFormatException)
        {
            _frames.Refuse();
        }
    }

    private void OnStreamRequest(GossipInput.StreamRequest request)
    {
        var answer = new StreamAnswer(request.Stream);
        _exchange.Begin(request.From, null, answer);
        if (request.Body.Length > WireLimits.StreamBodyBytes || request.From == _members.Self.Id)
        {
            _frames.Refuse();
        }
        else if (!_roster.IsForgotten(request.From))
        {
            _detector.Heard(request.From);
            _frames.Read(request.Body.Span, _exchange);
        }

        answer.Frames.AddRange(_exchange.Reply);
        _answers.Start(answer);
        AskBack(isRequest: true);
    }

    private void OnStreamReply(GossipInput.StreamReply reply)
    {
        if (_streams.Find(reply.Stream) is not { } use)
        {
            return;
        }

        _detector.Heard(use.Peer);
        _exchange.Begin(use.Peer, null);
        _frames.Read(reply.Body.Span, _exchange);
        AskBack(isRequest: false);
        if (reply.Last)
        {
            EndStream(reply.Stream, failed: false);
        }
    }

    private void EndStream(long stream, bool failed)
    {
        if (_streams.Find(stream) is { } use)
        {
            _streams.Close(stream);
            if (use.IsSync)
            {
                _repair.OnStreamEnd(stream, use.Peer, failed);
            }
        }
    }

    /// <summary>A stream answers one way only; what we lack ourselves is asked for by datagram, or by a stream of our own.</summary>
    private void AskBack(bool isRequest)
    {
        if (_exchange.WantsMuch)
        {
            _repair.OpenStream(_exchange.From);
            return;
        }

        _exchange.Reply.Clear();
        _exchange.AddRequests();
        if (!isRequest || _exchange.Wanted.Count == 0 || !_repair.RequestByStream(_exchange.From, _exchange.Reply))
        {
            _outbox.SendTo(_exchange.From, _exchange.Reply);
        }
    }
}
