using FsCheck;
using FsCheck.Fluent;
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
                (1, Gen.Constant(Verb.Create)), (1, Gen.Constant(Verb.Delete)), (1, Gen.Constant(Verb.Restore)))
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
            select (history, new Shape(prefixLength, (uint)gateway, [first, second]));
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

    private static void Compare(Step[] steps, Shape shape) => Compare(steps, shape, statisticsEachStep: true);

    private static void Compare(Step[] steps, Shape shape, bool statisticsEachStep)
    {
        ReplicatedState state = Commands.Founded();
        var naive = new NaiveAllocator();
        string done = "";
        foreach (Step step in steps.Prepend(new Step(Verb.Create, Pool: 1)))
        {
            done += $"{step.Verb}(a{step.Attachment} p{step.Pool} +{step.Offset} v{step.Variant}) ";
            string told = Tell(ref state, step, shape);
            string expected = Tell(naive, step, shape);
            Assert.True(expected == told, $"{shape}: after {done}expected {expected}, got {told}");
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
            (long?, uint?, int) told = (now?.Free, now?.Next is { } next ? AddressSequence.ToNumber(next) : null, (int)(now?.Used ?? 0));
            (long?, uint?, int) expected = (naive.Free(pool), naive.Next(pool), naive.Used(pool));
            Assert.True(expected == told, $"after {done}expected {expected}, got {told}");
        }
    }

    private static string Tell(NaiveAllocator naive, Step step, Shape shape) => step.Verb switch
    {
        Verb.Allocate => naive.Allocate(step.Attachment, step.Pool, null, Network, shape.Size),
        Verb.Want => naive.Allocate(step.Attachment, step.Pool, Network + (uint)step.Offset, Network, shape.Size),
        Verb.Release => naive.Release(step.Attachment),
        Verb.Create => naive.Create(step.Pool, Network, shape.Size, Network + shape.Gateway, [.. shape.Of(step.Variant).Select(o => Network + o)]),
        Verb.Delete => naive.Delete(step.Pool),
        _ => "Done",
    };

    private static string Tell(ref ReplicatedState state, Step step, Shape shape)
    {
        if (step.Verb == Verb.Restore)
        {
            byte[] snapshot = state.TakeSnapshot();
            state = new ReplicatedState();
            state.Restore(snapshot);
            Assert.Equal(snapshot, state.TakeSnapshot());
            return "Done";
        }

        ReplicatedCommand command = step.Verb switch
        {
            Verb.Allocate => Commands.Allocate(step.Attachment, step.Pool),
            Verb.Want => Commands.Allocate(step.Attachment, step.Pool, AddressSequence.ToAddress(Network + (uint)step.Offset).ToString()),
            Verb.Release => Commands.Release(step.Attachment),
            Verb.Delete => new ReplicatedCommand.DeletePool(new NetworkUid(Commands.Id(step.Pool))),
            _ => Commands.Pool(
                step.Pool,
                gateway: AddressSequence.ToAddress(Network + shape.Gateway).ToString(),
                subnet: $"{AddressSequence.ToAddress(Network)}/{shape.PrefixLength}",
                exclusions: [.. shape.Of(step.Variant).Select(o => AddressSequence.ToAddress(Network + o).ToString())]),
        };
        return state.Do(command).Result switch
        {
            ReplicatedResult.Granted granted => $"{AddressSequence.ToNumber(granted.Address)}",
            ReplicatedResult.Refused refused => $"{refused.Code}",
            _ => "Done",
        };
    }

    private sealed record Step(Verb Verb, uint Attachment = 1, uint Pool = 1, int Offset = 0, int Variant = 0);

    /// <param name="Exclusions">As offsets from the subnet; a creation takes one of these.</param>
    private sealed record Shape(int PrefixLength, uint Gateway, uint[][] Exclusions)
    {
        public uint Size => 1u << (32 - PrefixLength);

        public uint[] Of(int variant) => Exclusions[variant % Exclusions.Length];

        public override string ToString() => $"/{PrefixLength} gateway +{Gateway} exclusions {string.Join(" or ", Exclusions.Select(e => $"[{string.Join(' ', e)}]"))}";
    }
}
