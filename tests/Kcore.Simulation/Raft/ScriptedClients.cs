using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Ipam;
using Kcore.Raft;
using Kcore.TestKit.Histories;

namespace Kcore.Simulation.Raft;

/// <summary>
/// Clients that attach, detach and look up through their own host, which forwards to the leader; what gets no answer is
/// asked again under the same attachment id, or given up. What they saw is the history.
/// </summary>
internal sealed partial class ScriptedClients(SimulatedGroup group)
{
    private const long RetryMicros = 700_000;

    private static readonly ReplicatedCommand.CreatePool[] Pools =
    [
        Pool(1, "private", "10.250.0.0/24", "10.250.0.1"),
        Pool(2, "tiny", "10.251.0.0/28", "10.251.0.1"),
    ];

    private readonly List<HistoryOperation> _history = [];
    private readonly List<ReplicatedCommand.Allocate> _held = [];
    private uint _attachments;

    /// <summary>Requests that may still be begun.</summary>
    public int Budget { get; set; }

    /// <summary>Requests in a thousand that their client gives up on and never repeats.</summary>
    public int AbandonedPerMille { get; set; }

    /// <summary>Time between an answer and the next request, in microseconds.</summary>
    public int ThinkMicros { get; set; } = 60_000;

    /// <summary>Clients that wait for an answer.</summary>
    public int Waiting { get; private set; }

    public int Answered { get; private set; }

    public IReadOnlyList<HistoryOperation> History => _history;

    public static IReadOnlyList<string> OrderOf(string network) =>
        NaiveAllocator.OrderOf(Pools.Single(pool => pool.Network.ToString() == network));

    /// <summary>Makes the pools and then starts so many clients, spread over the hosts.</summary>
    public void Start(int clients)
    {
        MakePool(0, clients);
    }

    private void MakePool(int which, int clients)
    {
        bool isMade = false;
        Waiting++;
        Ask(group.Members[0], Pools[which], Made, () => isMade);

        void Made(ReplicatedResult result)
        {
            if (isMade)
            {
                return;
            }

            isMade = true;
            Waiting--;
            if (which + 1 < Pools.Length)
            {
                MakePool(which + 1, clients);
                return;
            }

            for (int i = 0; i < clients; i++)
            {
                SimulatedMember home = group.Members[i % group.Members.Length];
                group.Clock.After(group.Random.Next(ThinkMicros), () => Next(home));
            }
        }
    }

    private void Next(SimulatedMember home)
    {
        if (Budget <= 0)
        {
            return;
        }

        Budget--;
        int dice = group.Random.Next(100);
        if (dice < 20 && _held.Count > 0)
        {
            ReplicatedCommand.Allocate lease = _held[group.Random.Next(_held.Count)];
            _held.Remove(lease);
            Do(home, AddressAction.Release, lease, new ReplicatedCommand.Release(lease.Attachment, lease.NodeUid));
        }
        else if (dice < 40 && _attachments > 0)
        {
            Look(home);
        }
        else
        {
            uint number = ++_attachments;
            ReplicatedCommand.CreatePool pool = Pools[group.Random.Next(6) == 0 ? 1 : 0];
            IPAddress? wanted = group.Random.Next(10) == 0 ? IPAddress.Parse($"10.250.0.{group.Random.Next(2, 255)}") : null;
            var allocate = new ReplicatedCommand.Allocate(
                new AttachmentId(new Guid(number, 7, 0, 0, 0, 0, 0, 0, 0, 0, 3)),
                pool.Network,
                $"nic-{number}",
                new PhysicalAddress([2, 0, (byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number]),
                home.NodeUid,
                pool == Pools[0] ? wanted : null);
            Do(home, AddressAction.Allocate, allocate, allocate);
        }
    }

    private void Do(SimulatedMember home, AddressAction action, ReplicatedCommand.Allocate lease, ReplicatedCommand command)
    {
        int place = Begin(action, lease);
        bool isOver = false;
        if (group.Random.Next(1000) < AbandonedPerMille)
        {
            group.Clock.After(group.Random.Next((int)RetryMicros), () =>
            {
                if (!isOver)
                {
                    isOver = true;
                    Waiting--;
                    Think(home);
                }
            });
        }

        Ask(home, command, Answer, () => isOver);

        void Answer(ReplicatedResult result)
        {
            if (isOver)
            {
                return;
            }

            isOver = true;
            (AnswerKind kind, string? address) = result switch
            {
                ReplicatedResult.Granted granted => (AnswerKind.Granted, granted.Address.ToString()),
                ReplicatedResult.Refused { Code: RefusalCode.ResourceExhausted } => (AnswerKind.Exhausted, null),
                ReplicatedResult.Refused => (AnswerKind.Refused, (string?)null),
                _ => (AnswerKind.Released, null),
            };
            if (address is not null)
            {
                group.Record.NoteAnswered(lease.Attachment, address);
                _held.Add(lease);
            }

            End(place, kind, address);
            Think(home);
        }
    }

    private void Look(SimulatedMember home)
    {
        var attachment = new AttachmentId(new Guid((uint)group.Random.Next(1, (int)_attachments + 1), 7, 0, 0, 0, 0, 0, 0, 0, 0, 3));
        NetworkUid network = _history.First(operation => operation.Attachment == attachment.ToString()).Network == Pools[0].Network.ToString()
            ? Pools[0].Network
            : Pools[1].Network;
        int place = Begin(AddressAction.Lookup, new ReplicatedCommand.Allocate(attachment, network, "", PhysicalAddress.None, default, null));
        bool isOver = false;
        Try();

        void Try()
        {
            if (isOver)
            {
                return;
            }

            group.Clock.After(RetryMicros, Try);
            group.Hop(home, home, life =>
            {
                ulong token = ++life.LastToken;
                if (life.Node.ReadIndex(token))
                {
                    life.Reads[token] = isFresh => Answer(life, isFresh);
                }
            });
        }

        void Answer(MemberLife life, bool isFresh)
        {
            if (isOver || !isFresh)
            {
                return;
            }

            isOver = true;
            bool isHeld = life.State.TryGetLease(attachment, out ReplicatedChange.LeasePut? lease);
            End(place, isHeld ? AnswerKind.Held : AnswerKind.NotHeld, lease?.Address.ToString());
            Think(home);
        }
    }

    // Asks until answered or given up.
    private void Ask(SimulatedMember home, ReplicatedCommand command, Action<ReplicatedResult> answer, Func<bool> isOver)
    {
        if (isOver())
        {
            return;
        }

        group.Clock.After(RetryMicros, () => Ask(home, command, answer, isOver));
        group.Hop(home, home, life => Offer(home, life, command, answer, hops: 2));
    }

    private void Offer(SimulatedMember at, MemberLife life, ReplicatedCommand command, Action<ReplicatedResult> answer, int hops)
    {
        if (life.Node.Role == RaftRole.Leader)
        {
            if (life.Node.Propose(CommandCodec.Encode(command), out ulong index) == ProposeOutcome.Appended)
            {
                life.Proposals[(index, life.Node.Term)] = answer;
            }

            return;
        }

        SimulatedMember? leader = Array.Find(group.Members, member => member.Id == life.Node.Leader);
        if (hops > 0 && leader is not null && leader != at)
        {
            group.Hop(at, leader, there => Offer(leader, there, command, result => group.Hop(leader, at, _ => answer(result)), hops - 1));
        }
    }

    private void Think(SimulatedMember home) => group.Clock.After(group.Random.Next(ThinkMicros), () => Next(home));

    private int Begin(AddressAction action, ReplicatedCommand.Allocate lease)
    {
        Waiting++;
        _history.Add(new HistoryOperation(
            lease.Network.ToString(), action, lease.Attachment.ToString(), lease.Wanted?.ToString(), group.Clock.Now, HistoryOperation.Never, AnswerKind.Unknown, null));
        return _history.Count - 1;
    }

    private void End(int place, AnswerKind kind, string? address)
    {
        Waiting--;
        Answered++;
        _history[place] = _history[place] with { Returned = group.Clock.Now, Answer = kind, Address = address };
    }

    private static ReplicatedCommand.CreatePool Pool(uint number, string name, string subnet, string gateway) => new(
        new NetworkUid(new Guid(number, 9, 0, 0, 0, 0, 0, 0, 0, 0, 3)), name, 4000 + number, IPNetwork.Parse(subnet), IPAddress.Parse(gateway), []);
}
