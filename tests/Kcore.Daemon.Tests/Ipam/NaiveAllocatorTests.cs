using FsCheck;
using FsCheck.Fluent;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Ipam;

namespace Kcore.Daemon.Tests.Ipam;

/// <summary>The allocator compared, answer by answer, with one so simple that it can be read at a glance.</summary>
public sealed class NaiveAllocatorTests
{
    private const uint Network = 0x0A_01_00_00;

    private enum Verb
    {
        Allocate,
        Want,
        Release,
        Create,
        Delete,
        Restore,
        Advance,
        Reclaim,
        Orphan,
        Adopt,
        ReleaseOrphan,
        Park,
        Use,
        ReturnUsed,
        ReturnUnused,
        Lose,
        Begin,
        HandOver,
        Abort,
        Acknowledge,
        ReleaseThere,
    }

    [Theory]
    [InlineData(26)]
    [InlineData(27)]
    [InlineData(28)]
    [InlineData(29)]
    [InlineData(30)]
    public void Any_history_gives_what_the_naive_allocator_gives(int prefixLength)
    {
        int size = 1 << (32 - prefixLength);
        Gen<uint> offsets = Gen.Choose(0, size - 1).Select(o => (uint)o);
        Gen<uint[]> exclusions = Gen.Choose(0, size / 2).SelectMany(n => Gen.ArrayOf(offsets, n));
        Gen<Step> steps =
            from verb in Gen.Frequency(
                (6, Gen.Constant(Verb.Allocate)), (3, Gen.Constant(Verb.Want)), (5, Gen.Constant(Verb.Release)),
                (1, Gen.Constant(Verb.Create)), (1, Gen.Constant(Verb.Delete)), (1, Gen.Constant(Verb.Restore)),
                (3, Gen.Constant(Verb.Advance)), (1, Gen.Constant(Verb.Reclaim)), (1, Gen.Constant(Verb.Orphan)), (1, Gen.Constant(Verb.Adopt)), (1, Gen.Constant(Verb.ReleaseOrphan)),
                (3, Gen.Constant(Verb.Park)), (4, Gen.Constant(Verb.Use)), (1, Gen.Constant(Verb.ReturnUsed)), (2, Gen.Constant(Verb.ReturnUnused)), (1, Gen.Constant(Verb.Lose)),
                (3, Gen.Constant(Verb.Begin)), (3, Gen.Constant(Verb.HandOver)), (1, Gen.Constant(Verb.Abort)), (2, Gen.Constant(Verb.Acknowledge)), (1, Gen.Constant(Verb.ReleaseThere)))
            from attachment in Gen.Choose(1, size + 4)
            from pool in Gen.Frequency((5, Gen.Constant(1)), (2, Gen.Constant(2)))
            from offset in Gen.Choose(-1, size)
            from variant in Gen.Choose(0, 1)
            select new Step(verb, (uint)attachment, (uint)pool, offset, variant);
        Gen<(Step[] Steps, Shape Shape)> histories =
            from history in Gen.Choose(0, 3 * size).SelectMany(n => Gen.ArrayOf(steps, n))
            from gateway in Gen.Choose(1, size - 2)
            from first in exclusions
            from second in exclusions
            from reuses in Gen.Elements(true, false)
            from reserve in Gen.Elements(0, 1, 2, 5)
            select (history, new Shape(prefixLength, (uint)gateway, [first, second], reuses, reserve));
        Prop.ForAll(histories.ToArbitrary(), h => Compare(h.Steps, h.Shape)).QuickCheckThrowOnFailure();
    }

    /// <summary>Every gateway, every set of exclusions (the first and the last address too), every wish, until all is given.</summary>
    [Theory]
    [InlineData(30)]
    [InlineData(29)]
    public void Every_subnet_of_up_to_six_host_addresses_is_granted_whole_and_once(int prefixLength)
    {
        int size = 1 << (32 - prefixLength);
        for (uint gateway = 1; gateway < size - 1; gateway++)
        {
            for (int set = 0; set < 1 << size; set++)
            {
                uint[] excluded = [.. Enumerable.Range(0, size).Where(o => ((set >> o) & 1) == 1).Select(o => (uint)o)];
                for (int wish = 0; wish < size; wish++)
                {
                    Compare(
                        [
                            new(Verb.Allocate, 1, 1), new(Verb.Want, 2, 1, wish),
                            .. Enumerable.Range(3, size - 2).Select(i => new Step(Verb.Allocate, (uint)i, 1)),
                        ],
                        new Shape(prefixLength, gateway, [excluded]),
                        statisticsEachStep: false);
                }
            }
        }
    }

    /// <summary>Two wishes one after the other, ahead of the sequence, for every gateway.</summary>
    [Theory]
    [InlineData(30)]
    [InlineData(29)]
    public void Every_two_wishes_are_passed_over_later(int prefixLength)
    {
        int size = 1 << (32 - prefixLength);
        for (uint gateway = 1; gateway < size - 1; gateway++)
        {
            for (int first = 0; first < size; first++)
            {
                for (int second = 0; second < size; second++)
                {
                    Compare(
                        [
                            new(Verb.Want, 1, 1, first), new(Verb.Restore), new(Verb.Want, 2, 1, second), new(Verb.Restore),
                            .. Enumerable.Range(3, size).Select(i => new Step(Verb.Allocate, (uint)i, 1)),
                        ],
                        new Shape(prefixLength, gateway, [[]]));
                }
            }
        }
    }

    /// <summary>Every history of four commands of twelve on the smallest subnets, with and without an exclusion.</summary>
    [Theory]
    [InlineData(30, 1u, new uint[0])]
    [InlineData(30, 2u, new uint[0])]
    [InlineData(29, 1u, new uint[] { 2, 4 })]
    public void Every_short_history_gives_what_the_naive_allocator_gives(int prefixLength, uint gateway, uint[] excluded)
    {
        Step[] alphabet =
        [
            new(Verb.Allocate, 1, 1), new(Verb.Allocate, 2, 1), new(Verb.Allocate, 1, 2), new(Verb.Want, 2, 1, 1), new(Verb.Want, 2, 1, 2), new(Verb.Want, 1, 1, 3),
            new(Verb.Release, 1), new(Verb.Release, 2), new(Verb.Delete, Pool: 1), new(Verb.Create, Pool: 1), new(Verb.Create, Pool: 2), new(Verb.Restore),
        ];
        var shape = new Shape(prefixLength, gateway, [excluded]);
        foreach (Step first in alphabet)
        {
            foreach (Step second in alphabet)
            {
                foreach (Step third in alphabet)
                {
                    foreach (Step fourth in alphabet)
                    {
                        Compare([first, second, third, fourth], shape, statisticsEachStep: false);
                    }
                }
            }
        }
    }

    /// <summary>Every history of four commands of nine, after a first grant, on a subnet of two addresses that are given again.</summary>
    [Fact]
    public void Every_short_history_of_a_pool_that_reuses_gives_what_the_naive_allocator_gives()
    {
        Step[] alphabet =
        [
            new(Verb.Allocate, 1), new(Verb.Allocate, 2), new(Verb.Want, 3, 1, 1), new(Verb.Want, 4, 1, 3), new(Verb.Release, 1), new(Verb.Release, 2),
            new(Verb.Advance, Offset: 10), new(Verb.Reclaim), new(Verb.Orphan, 1),
        ];
        var shape = new Shape(29, 2, [[4, 5, 6]], Reuses: true);
        int[] digits = new int[4];
        do
        {
            Compare([new(Verb.Allocate, 1), .. digits.Select(d => alphabet[d]), new(Verb.Advance, Offset: 10), new(Verb.Restore), new(Verb.Allocate, 5), new(Verb.Allocate, 6)], shape, statisticsEachStep: false);
        }
        while (Count(digits, alphabet.Length));
    }

    /// <summary>
    /// Every history of five commands of eight on a subnet of four addresses of which two are parked: used, returned with and
    /// without use, lost, and the rest given away until nothing is left.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Every_short_history_of_a_reserve_gives_what_the_naive_allocator_gives(bool reuses)
    {
        Step[] alphabet =
        [
            new(Verb.Park), new(Verb.Use, 1, 1, 6), new(Verb.ReturnUsed, 1, 1, 6), new(Verb.ReturnUnused, 1, 1, 6), new(Verb.ReturnUnused, 1, 1, 5),
            new(Verb.Lose), new(Verb.Allocate, 2), new(Verb.Want, 3, 1, 5),
        ];
        var shape = new Shape(29, 1, [[2]], reuses, Reserve: 2);
        int[] digits = new int[5];
        do
        {
            Compare(
                [
                    .. digits.Select(d => alphabet[d]), new(Verb.Restore), new(Verb.Allocate, 10), new(Verb.Allocate, 11), new(Verb.Allocate, 12), new(Verb.Allocate, 13), new(Verb.Reclaim),
                    new(Verb.Advance, Offset: 10), new(Verb.Advance, Offset: 10), new(Verb.Park), new(Verb.Allocate, 14), new(Verb.Restore), new(Verb.Allocate, 15),
                ],
                shape,
                statisticsEachStep: false);
        }
        while (Count(digits, alphabet.Length));
    }

    /// <summary>
    /// Every history of four commands of nine about one NIC that has begun to move: begun again, to and fro, handed over, given up, heard of, released here and
    /// there, and late duplicates of all of it.
    /// </summary>
    [Fact]
    public void Every_short_history_of_moves_gives_what_the_naive_allocator_gives()
    {
        Step[] alphabet =
        [
            new(Verb.Begin, 1, 1, 0), new(Verb.Begin, 1, 1, 1, 1), new(Verb.HandOver), new(Verb.HandOver, 1, 1, 0, 1), new(Verb.Abort),
            new(Verb.Acknowledge, 1, 1, 0), new(Verb.Acknowledge, 1, 1, 1), new(Verb.Release, 1), new(Verb.ReleaseThere, 1),
        ];
        var shape = new Shape(29, 1, [[]]);
        int[] digits = new int[4];
        do
        {
            Compare([new(Verb.Allocate, 1), new(Verb.Begin, 1, 1, 0), .. digits.Select(d => alphabet[d]), new(Verb.Restore), new(Verb.Orphan, 1), new(Verb.Allocate, 1), new(Verb.Allocate, 2)], shape, statisticsEachStep: false);
        }
        while (Count(digits, alphabet.Length));
    }

    private static bool Count(int[] digits, int radix)
    {
        for (int i = 0; i < digits.Length; i++)
        {
            digits[i] = (digits[i] + 1) % radix;
            if (digits[i] != 0)
            {
                return true;
            }
        }

        return false;
    }

    private static void Compare(Step[] steps, Shape shape) => Compare(steps, shape, statisticsEachStep: true);

    private static void Compare(Step[] steps, Shape shape, bool statisticsEachStep)
    {
        ReplicatedState state = Commands.Founded();
        state.Do(new ReplicatedCommand.NodeAdd(new Kcore.Raft.MemberId(Commands.Id(9), Commands.Id(90)), "node-a"));
        state.Do(new ReplicatedCommand.NodeAdd(new Kcore.Raft.MemberId(Commands.Id(8), Commands.Id(80)), "node-b"));
        var naive = new NaiveAllocator();
        ulong index = 1;
        uint holder = 100;
        string done = "";
        foreach (Step step in steps.Prepend(new Step(Verb.Create, Pool: 1)))
        {
            done += $"{step.Verb}(a{step.Attachment} p{step.Pool} +{step.Offset} v{step.Variant}) ";
            string told = Tell(ref state, step, shape, ++index, ref holder);
            string expected = Tell(naive, step, shape);
            Assert.True(expected == told, $"{shape}: after {done}expected {expected}, got {told}");
            Assert.True(
                naive.AddressOf(step.Attachment) is null
                || (state.TryGetLease(new AttachmentId(Commands.Id(step.Attachment)), out ReplicatedChange.LeasePut? lease) && lease.NodeUid == Commands.Id(naive.NodeOf(step.Attachment))),
                $"{shape}: after {done}the NIC is not on node {naive.NodeOf(step.Attachment)}");
            if (statisticsEachStep)
            {
                CompareStatistics(naive, state, done);
            }
        }

        CompareStatistics(naive, state, done);
    }

    private static void CompareStatistics(NaiveAllocator naive, ReplicatedState state, string done)
    {
        for (uint pool = 1; pool <= 2; pool++)
        {
            PoolStatistics? now = state.Statistics(new NetworkUid(Commands.Id(pool)));
            (long?, uint?, int, long, long) told = (now?.Free, now?.Next is { } next ? AddressSequence.ToNumber(next) : null, (int)(now?.Used ?? 0), now?.Resting ?? 0, now?.Parked ?? 0);
            (long?, uint?, int, long, long) expected = (naive.Free(pool), naive.Next(pool), naive.Used(pool), naive.Resting(pool), naive.Parked(pool));
            Assert.True(expected == told, $"after {done}expected {expected}, got {told}");
        }
    }

    private static string Tell(NaiveAllocator naive, Step step, Shape shape) => step.Verb switch
    {
        Verb.Allocate => naive.Allocate(step.Attachment, step.Pool, null, Network, shape.Size),
        Verb.Want => naive.Allocate(step.Attachment, step.Pool, Network + (uint)step.Offset, Network, shape.Size),
        Verb.Release => naive.Release(step.Attachment, step.Pool),
        Verb.Create => naive.Create(step.Pool, Network, shape.Size, Network + shape.Gateway, [.. shape.Of(step.Variant).Select(o => Network + o)], shape.Reuses, shape.Reserve),
        Verb.Park => naive.Park(step.Pool),
        Verb.Use => naive.Use(step.Attachment, step.Pool, Network + (uint)step.Offset),
        Verb.ReturnUsed => naive.Return(step.Pool, Network + (uint)step.Offset, wasUsed: true),
        Verb.ReturnUnused => naive.Return(step.Pool, Network + (uint)step.Offset, wasUsed: false),
        Verb.Lose => naive.Lose(step.Pool),
        Verb.Advance => naive.Advance(step.Minutes),
        Verb.Reclaim => naive.Reclaim(step.Pool),
        Verb.Orphan => naive.Mark(step.Attachment, isOrphan: true),
        Verb.Adopt => naive.Mark(step.Attachment, isOrphan: false),
        Verb.ReleaseOrphan => naive.ReleaseOrphan(step.Attachment),
        Verb.Delete => naive.Delete(step.Pool),
        Verb.Begin => naive.Begin(step.Move, step.Attachment, step.Pool, step.From, step.To, naive.AddressOf(step.Attachment) ?? Network + (uint)step.Offset),
        Verb.HandOver => naive.HandOver(step.Move),
        Verb.Abort => naive.Abort(step.Move),
        Verb.Acknowledge => naive.Acknowledge(step.Move, step.From),
        Verb.ReleaseThere => naive.Release(step.Attachment, step.Pool, 8),
        _ => "Done",
    };

    private static string Tell(ref ReplicatedState state, Step step, Shape shape, ulong index, ref uint holder)
    {
        if (step.Verb == Verb.Restore)
        {
            byte[] snapshot = state.TakeSnapshot();
            state = new ReplicatedState();
            state.Restore(snapshot);
            Assert.Equal(snapshot, state.TakeSnapshot());
            return "Done";
        }

        System.Net.IPAddress meant = AddressSequence.ToAddress(Network + (uint)step.Offset);
        var pool = new NetworkUid(Commands.Id(step.Pool));
        ulong grant = state.ParkedFor(pool, Commands.Id(9)).FirstOrDefault(p => p.Address.Equals(meant))?.GrantIndex ?? index;
        uint before = holder;
        holder += step.Verb == Verb.Lose && state.Statistics(pool) is not null ? 1u : 0;
        ReplicatedCommand command = step.Verb switch
        {
            Verb.Park => new ReplicatedCommand.GrantReserve(pool, Commands.Id(9), Commands.Id(holder), before == 100 ? Guid.Empty : Commands.Id(before)),
            Verb.Lose => new ReplicatedCommand.GrantReserve(pool, Commands.Id(9), Commands.Id(holder), state.HolderOf(Commands.Id(9))),
            Verb.Use => new ReplicatedCommand.UseReserve(new AttachmentId(Commands.Id(step.Attachment)), pool, $"nic-{step.Attachment}", Commands.Mac(step.Attachment), Commands.Id(9), meant, grant),
            Verb.ReturnUsed => new ReplicatedCommand.ReturnReserve(pool, Commands.Id(9), meant, grant, WasUsed: true),
            Verb.ReturnUnused => new ReplicatedCommand.ReturnReserve(pool, Commands.Id(9), meant, grant, WasUsed: false),
            Verb.Allocate => Commands.AllocateUntil(step.Attachment, index, step.Pool),
            Verb.Want => Commands.AllocateUntil(step.Attachment, index, step.Pool, AddressSequence.ToAddress(Network + (uint)step.Offset).ToString()),
            Verb.Release => Commands.ReleaseOn(step.Attachment, step.Pool),
            Verb.Advance => new ReplicatedCommand.AdvanceClock(index - 1, state.Clock + (step.Minutes * 60_000)),
            Verb.Reclaim => new ReplicatedCommand.Reclaim(new NetworkUid(Commands.Id(step.Pool))),
            Verb.Orphan => new ReplicatedCommand.MarkOrphaned(new AttachmentId(Commands.Id(step.Attachment)), Commands.Id(9)),
            Verb.Adopt => new ReplicatedCommand.Adopt(new AttachmentId(Commands.Id(step.Attachment)), Commands.Id(9)),
            Verb.ReleaseOrphan => new ReplicatedCommand.ReleaseOrphan(new AttachmentId(Commands.Id(step.Attachment))),
            Verb.Begin => new ReplicatedCommand.BeginMove(
                Commands.Id(step.Move),
                new MovingNic(
                    new AttachmentId(Commands.Id(step.Attachment)), pool, $"nic-{step.Attachment}", Commands.Mac(step.Attachment),
                    state.TryGetLease(new AttachmentId(Commands.Id(step.Attachment)), out ReplicatedChange.LeasePut? held) ? held.Address : meant,
                    Commands.Id(step.From), Commands.Id(step.To), IsLeased: true),
                index),
            Verb.HandOver => new ReplicatedCommand.HandOver(Commands.Id(step.Move)),
            Verb.Abort => new ReplicatedCommand.AbortMove(Commands.Id(step.Move)),
            Verb.Acknowledge => new ReplicatedCommand.AcknowledgeMove(Commands.Id(step.Move), Commands.Id(step.From)),
            Verb.ReleaseThere => Commands.ReleaseOn(step.Attachment, step.Pool, node: 8),
            Verb.Delete => new ReplicatedCommand.DeletePool(new NetworkUid(Commands.Id(step.Pool))),
            _ => Commands.Pool(
                step.Pool,
                gateway: AddressSequence.ToAddress(Network + shape.Gateway).ToString(),
                subnet: $"{AddressSequence.ToAddress(Network)}/{shape.PrefixLength}",
                exclusions: [.. shape.Of(step.Variant).Select(o => AddressSequence.ToAddress(Network + o).ToString())]) with
            {
                Reuse = shape.Reuses ? AddressReuse.Quarantine : AddressReuse.Never,
                Reserve = shape.Reserve,
            },
        };
        return state.Do(command, index).Result switch
        {
            ReplicatedResult.Granted granted => $"{AddressSequence.ToNumber(granted.Address)}",
            ReplicatedResult.Refused refused => $"{refused.Code}",
            ReplicatedResult.Parked parked => "Parked " + string.Join(' ', parked.Addresses.Select(p => AddressSequence.ToNumber(p.Address))),
            _ => "Done",
        };
    }

    private sealed record Step(Verb Verb, uint Attachment = 1, uint Pool = 1, int Offset = 0, int Variant = 0)
    {
        public ulong Minutes => (ulong)Math.Max(0, Offset) % 12;

        /// <summary>Two for each NIC, so that each is begun, and its duplicates come late, again and again.</summary>
        public uint Move => 10_000 + (Attachment * 2) + (uint)Variant;

        public uint From => Offset % 2 == 0 ? 9u : 8u;

        public uint To => 17 - From;
    }

    /// <param name="Exclusions">As offsets from the subnet; a creation takes one of these.</param>
    private sealed record Shape(int PrefixLength, uint Gateway, uint[][] Exclusions, bool Reuses = false, int Reserve = 0)
    {
        public uint Size => 1u << (32 - PrefixLength);

        public uint[] Of(int variant) => Exclusions[variant % Exclusions.Length];

        public override string ToString() => $"/{PrefixLength}{(Reuses ? " reusing" : "")}{(Reserve > 0 ? $" parking {Reserve}" : "")} gateway +{Gateway} exclusions {string.Join(" or ", Exclusions.Select(e => $"[{string.Join(' ', e)}]"))}";
    }
}
