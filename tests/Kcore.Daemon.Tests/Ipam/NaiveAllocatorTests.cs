using FsCheck;
using FsCheck.Fluent;
using Kcore.Daemon.Ipam;

namespace Kcore.Daemon.Tests.Ipam;

/// <summary>The allocator compared with one so simple that it can be read at a glance.</summary>
public sealed class NaiveAllocatorTests
{
    [Theory]
    [InlineData(27)]
    [InlineData(28)]
    [InlineData(29)]
    [InlineData(30)]
    public void Any_history_gives_what_the_naive_allocator_gives(int prefixLength)
    {
        Gen<Step[]> histories = Gen.ArrayOf(
            from kind in Gen.Choose(0, 5)
            from attachment in Gen.Choose(1, 20)
            from offset in Gen.Choose(0, (1 << (32 - prefixLength)) - 1)
            select new Step(kind, (uint)attachment, (uint)offset));
        Prop.ForAll(histories.ToArbitrary(), Gen.Choose(1, (1 << (32 - prefixLength)) - 2).ToArbitrary(), (steps, gateway) => Compare(steps, prefixLength, (uint)gateway))
            .QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Every_subnet_of_up_to_six_host_addresses_is_granted_whole_and_once_for_every_gateway_and_wish()
    {
        foreach (int prefixLength in new[] { 29, 30 })
        {
            uint size = 1u << (32 - prefixLength);
            for (uint gateway = 1; gateway < size - 1; gateway++)
            {
                for (uint first = 0; first < size; first++)
                {
                    for (uint second = 0; second < size; second++)
                    {
                        Step[] steps =
                        [
                            new(5, 1, first),
                            new(5, 2, second),
                            .. Enumerable.Range(3, (int)size).Select(i => new Step(0, (uint)i, 0)),
                        ];
                        Compare(steps, prefixLength, gateway);
                    }
                }
            }
        }
    }

    private static void Compare(Step[] steps, int prefixLength, uint gateway)
    {
        const uint network = 0x0A_01_00_00;
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool(gateway: $"10.1.0.{gateway}", subnet: $"10.1.0.0/{prefixLength}"));
        var naive = new NaiveAllocator(network, 1u << (32 - prefixLength), network + gateway);
        foreach (Step step in steps)
        {
            string? wanted = step.Kind == 5 ? $"10.1.0.{step.Offset}" : null;
            if (step.Kind == 4)
            {
                state.Do(Commands.Release(step.Attachment));
                naive.Release(step.Attachment);
            }
            else
            {
                uint? granted = state.Do(Commands.Allocate(step.Attachment, wanted: wanted)).Result
                    is ReplicatedResult.Granted grant ? AddressSequence.ToNumber(grant.Address) : null;
                Assert.Equal(naive.Allocate(step.Attachment, wanted is null ? null : network + step.Offset), granted);
            }

            // The snapshot in between must make no difference.
            var copy = new ReplicatedState();
            copy.Restore(state.TakeSnapshot());
            Assert.Equal(state.TakeSnapshot(), copy.TakeSnapshot());
            state = copy;
        }

        Assert.Equal(naive.Free, state.Statistics(new NetworkUid(Commands.Id(1)))!.Free);
    }

    private sealed record Step(int Kind, uint Attachment, uint Offset);

    private sealed class NaiveAllocator
    {
        private readonly List<uint> _free;
        private readonly Dictionary<uint, uint> _held = [];
        private readonly HashSet<uint> _retired = [];

        public NaiveAllocator(uint network, uint size, uint gateway)
        {
            _free = [];
            for (uint offset = 2; offset < size - 1; offset++)
            {
                _free.Add(network + offset);
            }

            _free.Add(network + 1);
            _free.Remove(gateway);
        }

        public long Free => _free.Count;

        public uint? Allocate(uint attachment, uint? wanted)
        {
            if (_held.TryGetValue(attachment, out uint held))
            {
                return wanted is null || wanted == held ? held : null;
            }

            if (_retired.Contains(attachment) || _free.Count == 0 || (wanted is { } wish && !_free.Contains(wish)))
            {
                return null;
            }

            uint address = wanted ?? _free[0];
            _free.Remove(address);
            return _held[attachment] = address;
        }

        public void Release(uint attachment)
        {
            if (_held.Remove(attachment))
            {
                _retired.Add(attachment);
            }
        }
    }
}
