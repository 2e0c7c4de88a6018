using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Reserve;
using Kcore.Raft;

namespace Kcore.Simulation.Raft;

// The emergency reserve as hosts use it, with the record they keep (ReserveBook): they ask for it, take from it whether or
// not there is a quorum (nothing but order rests on that), report what they took, detach before and after it was reported,
// give up what they did not use, and lose their record while what they took runs on.
internal sealed partial class ScriptedClients
{
    private readonly Dictionary<Guid, ReserveBook> _books = [];
    private readonly HashSet<Guid> _busy = [];
    private readonly List<Helping> _helpings = [];
    private readonly List<ReplicatedCommand.Allocate> _ordinary = [];
    private uint _helpNumber;

    public static NetworkUid Reserving { get; } = Pool(4, "reserving", "10.253.0.0/26", "10.253.0.1").Network;

    /// <summary>Steps of this kind that may still be begun.</summary>
    public int ReserveBudget { get; set; }

    /// <summary>Addresses taken from reserves.</summary>
    public int Helped { get; private set; }

    /// <summary>Records that were lost.</summary>
    public int Lost { get; private set; }

    /// <summary>A NIC whose host knows of it, was asked about it, and which has no lease; null when there is none.</summary>
    public AttachmentId? Unreported => _helpings.Find(h => h is { IsForgotten: false, IsDetached: false, IsCommitted: false })?.Attachment;

    public void StartReserve(int clients, bool reuses)
    {
        ReplicatedCommand.CreatePool pool = Pool(4, "reserving", "10.253.0.0/26", "10.253.0.1") with
        {
            Reserve = 3,
            Reuse = reuses ? AddressReuse.Quarantine : AddressReuse.Never,
        };
        Admit(0);

        void Admit(int which)
        {
            if (which < group.Members.Length)
            {
                SimulatedMember member = group.Members[which];
                _books[member.NodeUid] = NewBook();
                Request(group.Members[0], new ReplicatedCommand.NodeAdd(new MemberId(member.NodeUid, member.NodeUid), $"node-{which}"), _ => Admit(which + 1));
                return;
            }

            Request(group.Members[0], pool, _ =>
            {
                for (int i = 0; i < clients; i++)
                {
                    SimulatedMember home = group.Members[i % group.Members.Length];
                    group.Clock.After(group.Random.Next(ThinkMicros), () => NextReserve(home));
                }
            });
        }
    }

    private void NextReserve(SimulatedMember home)
    {
        if (ReserveBudget <= 0)
        {
            return;
        }

        ReserveBudget--;
        switch (home.Life is null ? 20 : group.Random.Next(20))
        {
            case < 6:
                Upkeep(home);
                break;
            case < 13:
                Help(home);
                break;
            case < 17:
                Leave(home);
                break;
            case 17:
                _books[home.NodeUid] = _books[home.NodeUid].GivenUp(Uid.FromGuid(Reserving.Value));
                break;
            case 18 when group.Random.Next(4) == 0:
                Lose(home);
                break;
            default:
                break;
        }

        group.Clock.After(group.Random.Next(ThinkMicros), () => NextReserve(home));
    }

    // One question or end at a time, as the loop of a daemon does it.
    private void Upkeep(SimulatedMember home)
    {
        if (!_busy.Add(home.NodeUid))
        {
            return;
        }

        ReserveBook book = _books[home.NodeUid];
        ReserveRow? open = book.Rows.Values.FirstOrDefault(r => r.Use == ReserveUse.GivenUp || (r.Use == ReserveUse.Used && Of(r) is { IsCommitted: true } or { IsDetached: true } or null));
        if (open is not null && Of(open) is { IsCommitted: true, IsDetached: false })
        {
            Settle(open);
        }
        else if (open is not null)
        {
            Request(
                home,
                new ReplicatedCommand.ReturnReserve(Reserving, home.NodeUid, AddressSequence.ToAddress(open.Address), open.GrantIndex, open.Use == ReserveUse.Used),
                _ => Settle(open));
        }
        else
        {
            Ask(Guid.Empty);
        }

        Helping? Of(ReserveRow row) => row.Use == ReserveUse.Used ? _helpings.Find(h => h.Attachment.Value == Uid.ToGuid(row.Attachment)) : null;

        void Settle(ReserveRow row)
        {
            if (_books[home.NodeUid].Holder == book.Holder)
            {
                _books[home.NodeUid] = _books[home.NodeUid].Settled(row);
            }

            _busy.Remove(home.NodeUid);
        }

        void Ask(Guid instead) => Request(home, new ReplicatedCommand.GrantReserve(Reserving, home.NodeUid, book.Holder, instead), result =>
        {
            var parked = (ReplicatedResult.Parked)result;
            if (parked.Holder != book.Holder && instead != parked.Holder)
            {
                Ask(parked.Holder);
                return;
            }

            // The host whose question this was may have lost its record meanwhile, and then forgets the answer, too.
            if (_books[home.NodeUid].Holder == book.Holder && parked.Holder == book.Holder)
            {
                _books[home.NodeUid] = _books[home.NodeUid].Told(Uid.FromGuid(Reserving.Value), parked.Addresses);
            }

            _busy.Remove(home.NodeUid);
        });
    }

    // Asks for an address in order, waits a little, and takes one from the reserve under another attachment id.
    private void Help(SimulatedMember home)
    {
        uint number = ++_helpNumber;
        var asked = new ReplicatedCommand.Allocate(
            new AttachmentId(new Guid(number, 10, 0, 0, 0, 0, 0, 0, 0, 0, 3)),
            Reserving,
            $"help-{number}",
            new PhysicalAddress([10, 0, (byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number]),
            home.NodeUid,
            null);
        Func<bool> giveUp = Request(home, asked, result =>
        {
            if (result is ReplicatedResult.Granted granted)
            {
                group.Record.NoteAnswered(asked.Attachment, granted.Address.ToString());
                _ordinary.Add(asked);
            }
        });

        // Half of them do not even wait: then the request is on its way while the NIC has another address.
        group.Clock.After(group.Random.Next(2) * group.Random.Next(200_000), () => TakeInstead(home, asked, giveUp));
    }

    private void TakeInstead(SimulatedMember home, ReplicatedCommand.Allocate asked, Func<bool> giveUp)
    {
        ReserveBook book = _books[home.NodeUid];
        if (home.Life is null || book.Highest(Uid.FromGuid(Reserving.Value), null, _ => false) is not { } row || !giveUp())
        {
            return;
        }

        var attachment = new AttachmentId(new Guid(++_helpNumber, 11, 0, 0, 0, 0, 0, 0, 0, 0, 3));
        var helping = new Helping(home, attachment, book.Holder, new ReplicatedCommand.UseReserve(
            attachment, Reserving, asked.NicName, asked.Mac, home.NodeUid, AddressSequence.ToAddress(row.Address), row.GrantIndex));
        _books[home.NodeUid] = book.Taken(row, Uid.FromGuid(attachment.Value));
        _helpings.Add(helping);
        Helped++;
        group.Record.NoteTaken(Reserving, helping.Use.Address.ToString(), attachment);

        // The attachment before may have been granted an address; while it has the MAC, nobody else can.
        Request(home, new ReplicatedCommand.Release(asked.Attachment, home.NodeUid, Reserving), _ =>
        {
            _givenUp.Add(asked.Attachment);
            if (helping is { IsDetached: false, IsForgotten: false })
            {
                helping.StopReport = Request(home, helping.Use, result => Reported(helping, result));
            }
        });
    }

    private void Reported(Helping helping, ReplicatedResult result)
    {
        if (result is ReplicatedResult.Granted granted)
        {
            helping.IsCommitted = true;
            group.Record.NoteAnswered(helping.Attachment, granted.Address.ToString());
        }
        else if (!helping.IsForgotten)
        {
            throw new InvariantException($"A-7: the use of {helping.Use.Address} by {helping.Attachment} was answered {result}.");
        }
    }

    private void Leave(SimulatedMember home)
    {
        Helping[] mine = [.. _helpings.Where(h => h.Home == home && h is { IsDetached: false, IsForgotten: false })];
        if (mine.Length == 0 || group.Random.Next(3) == 0)
        {
            if (_ordinary.Find(a => a.NodeUid == home.NodeUid) is { } lease)
            {
                _ordinary.Remove(lease);
                Request(home, new ReplicatedCommand.Release(lease.Attachment, home.NodeUid, Reserving), _ => _givenUp.Add(lease.Attachment));
            }

            return;
        }

        // Its report may be on its way, and may even come in after this.
        Helping left = mine[group.Random.Next(mine.Length)];
        left.IsDetached = true;
        left.StopReport?.Invoke();
        var release = new ReplicatedCommand.Release(left.Attachment, home.NodeUid, Reserving);
        if (left.IsCommitted)
        {
            Request(home, release, _ => _givenUp.Add(left.Attachment));
        }
        else
        {
            Request(
                home,
                new ReplicatedCommand.ReturnReserve(Reserving, home.NodeUid, left.Use.Address, left.Use.GrantIndex, WasUsed: true),
                _ => Request(home, release, _ => _givenUp.Add(left.Attachment)));
        }
    }

    // What it took runs on, and nobody knows: none of it may ever be given to somebody else.
    private void Lose(SimulatedMember home)
    {
        Lost++;
        _books[home.NodeUid] = NewBook();
        foreach (Helping helping in _helpings.Where(h => h.Home == home && !h.IsDetached))
        {
            helping.IsForgotten = true;
            helping.StopReport?.Invoke();
        }
    }

    private ReserveBook NewBook()
    {
        byte[] name = new byte[16];
        group.Random.NextBytes(name);
        return ReserveBook.New(new Guid(name));
    }

    private sealed record Helping(SimulatedMember Home, AttachmentId Attachment, Guid Holder, ReplicatedCommand.UseReserve Use)
    {
        public bool IsCommitted { get; set; }

        public bool IsDetached { get; set; }

        public bool IsForgotten { get; set; }

        public Func<bool>? StopReport { get; set; }
    }
}
