using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Ipam;
using Kcore.Raft;

namespace Kcore.Simulation.Raft;

// NICs that go to and fro: begun, handed over, given up, heard of, by clients that know nothing of each other, ask again what
// was answered already, and release a NIC from where it is, or was.
internal sealed partial class ScriptedClients
{
    private static readonly ReplicatedCommand.CreatePool MovingPool = Pool(5, "moving", "10.254.0.0/24", "10.254.0.1");

    private readonly List<(ReplicatedCommand.Allocate Lease, IPAddress Address)> _travellers = [];
    private readonly List<ReplicatedCommand.BeginMove> _begun = [];
    private uint _travelling;
    private uint _journeys;

    public static NetworkUid Moving => MovingPool.Network;

    /// <summary>Requests of this kind that may still be begun.</summary>
    public int MoveBudget { get; set; }

    /// <summary>Hand-overs that were answered as done.</summary>
    public int Moved { get; private set; }

    public void StartMoves(int clients)
    {
        Admit(0);

        void Admit(int which)
        {
            if (which < group.Members.Length)
            {
                SimulatedMember member = group.Members[which];
                Request(group.Members[0], new ReplicatedCommand.NodeAdd(new MemberId(member.NodeUid, member.NodeUid), $"node-{which}"), _ => Admit(which + 1));
                return;
            }

            Request(group.Members[0], MovingPool, _ =>
            {
                for (int i = 0; i < clients; i++)
                {
                    SimulatedMember home = group.Members[i % group.Members.Length];
                    group.Clock.After(group.Random.Next(ThinkMicros), () => NextMove(home));
                }
            });
        }
    }

    private void NextMove(SimulatedMember home)
    {
        if (MoveBudget <= 0)
        {
            return;
        }

        MoveBudget--;
        int dice = _travellers.Count == 0 ? 0 : group.Random.Next(24);
        Guid? move = _begun.Count == 0 ? null : _begun[^Math.Min(_begun.Count, 1 + group.Random.Next(4))].Move;
        switch (dice)
        {
            case < 4:
                Depart(home);
                break;
            case < 10:
                Begin(home);
                break;
            case < 16 when move is { } over:
                TellOfMove(home, new ReplicatedCommand.HandOver(over), result => Moved += result is ReplicatedResult.Done ? 1 : 0);
                break;
            case 16 when move is { } unwanted:
                TellOfMove(home, new ReplicatedCommand.AbortMove(unwanted), _ => { });
                break;
            case < 20 when move is { } known:
                TellOfMove(home, new ReplicatedCommand.AcknowledgeMove(known, SomeNode()), _ => { });
                break;
            case 20 when move is not null:
                // A late duplicate.
                TellOfMove(home, _begun[group.Random.Next(_begun.Count)], _ => { });
                break;
            case 21:
                ReplicatedCommand.Allocate lease = _travellers[group.Random.Next(_travellers.Count)].Lease;
                TellOfMove(home, new ReplicatedCommand.Release(lease.Attachment, SomeNode(), lease.Network), result =>
                {
                    if (result is ReplicatedResult.Done)
                    {
                        _travellers.RemoveAll(t => t.Lease.Attachment == lease.Attachment);
                        _givenUp.Add(lease.Attachment);
                    }
                });
                break;
            case 22:
                TellOfMove(home, new ReplicatedCommand.MarkOrphaned(_travellers[group.Random.Next(_travellers.Count)].Lease.Attachment, SomeNode()), _ => { });
                break;
            default:
                TellOfMove(home, _travellers[group.Random.Next(_travellers.Count)].Lease, _ => { });
                break;
        }
    }

    private Guid SomeNode() => group.Members[group.Random.Next(group.Members.Length)].NodeUid;

    private void Depart(SimulatedMember home)
    {
        uint number = ++_travelling;
        var lease = new ReplicatedCommand.Allocate(
            new AttachmentId(new Guid(number, 10, 0, 0, 0, 0, 0, 0, 0, 0, 3)),
            MovingPool.Network,
            $"traveller-{number}",
            new PhysicalAddress([10, 0, (byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number]),
            home.NodeUid,
            null,
            (home.Life?.Node.CommitIndex ?? 0) + ReplicatedState.RequestLifetime);
        TellOfMove(home, lease, result =>
        {
            if (result is ReplicatedResult.Granted granted)
            {
                group.Record.NoteAnswered(lease.Attachment, granted.Address.ToString());
                _travellers.Add((lease, granted.Address));
            }
        });
    }

    private void Begin(SimulatedMember home)
    {
        (ReplicatedCommand.Allocate lease, IPAddress address) = _travellers[group.Random.Next(_travellers.Count)];
        Guid from = home.Life is { } life && life.State.TryGetLease(lease.Attachment, out ReplicatedChange.LeasePut? held) ? held.NodeUid : lease.NodeUid;
        var begin = new ReplicatedCommand.BeginMove(
            new Guid(++_journeys, 11, 0, 0, 0, 0, 0, 0, 0, 0, 3),
            new MovingNic(lease.Attachment, lease.Network, lease.NicName, lease.Mac, address, from, SomeNode(), IsLeased: true),
            (home.Life?.Node.CommitIndex ?? 0) + ReplicatedState.RequestLifetime);
        _begun.Add(begin);
        TellOfMove(home, begin, _ => { });
    }

    private void TellOfMove(SimulatedMember home, ReplicatedCommand command, Action<ReplicatedResult> then) => Request(home, command, result =>
    {
        then(result);
        group.Clock.After(group.Random.Next(ThinkMicros), () => NextMove(home));
    });
}
