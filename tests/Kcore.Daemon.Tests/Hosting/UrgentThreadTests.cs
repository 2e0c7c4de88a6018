using System.Runtime.InteropServices;
using Kcore.Daemon.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Hosting;

public class UrgentThreadTests
{
    private const int SizeOfAttributes = 48;
    private const int FlagsAt = 8;
    private const int NiceAt = 16;
    private const int RuntimeAt = 24;

    /// <summary>What a kernel before 6.12 says of the runtime of a thread that has none.</summary>
    private const ulong Unknown = 0;

    [Fact]
    public async Task An_urgent_thread_asks_for_short_turns_and_hands_its_urgency_to_nobody_it_starts()
    {
        byte[] own = [], started = [];
        await UrgentThread.RunAsync(
            "test",
            () =>
            {
                own = Attributes();
                var child = new Thread(() => started = Attributes());
                child.Start();
                child.Join();
            },
            NullLogger.Instance);

        Assert.Contains(BitConverter.ToUInt64(own, RuntimeAt), new[] { ThreadUrgency.TurnNanoseconds, Unknown });
        Assert.Equal(1UL, BitConverter.ToUInt64(own, FlagsAt) & 1);
        Assert.NotEqual(ThreadUrgency.TurnNanoseconds, BitConverter.ToUInt64(started, RuntimeAt));
    }

    [Fact]
    public async Task A_thread_is_urgent_only_as_long_as_it_is_said_to_be()
    {
        byte[] before = [], raised = [], after = [];
        await UrgentThread.RunAsync("test", NullLogger.Instance, urgency =>
        {
            before = Attributes();

            // From another thread, as who waits for this one does.
            OnAnother(() => urgency.Set(true));
            raised = Attributes();
            OnAnother(() => urgency.Set(false));
            after = Attributes();
        });

        Assert.Contains(BitConverter.ToUInt64(raised, RuntimeAt), new[] { ThreadUrgency.TurnNanoseconds, Unknown });
        Assert.NotEqual(ThreadUrgency.TurnNanoseconds, BitConverter.ToUInt64(before, RuntimeAt));
        Assert.NotEqual(ThreadUrgency.TurnNanoseconds, BitConverter.ToUInt64(after, RuntimeAt));
        Assert.Equal(BitConverter.ToInt32(before, NiceAt), BitConverter.ToInt32(after, NiceAt));
    }

    [Fact]
    public async Task What_the_work_throws_comes_out_of_the_task() =>
        await Assert.ThrowsAsync<InvalidDataException>(() => UrgentThread.RunAsync("test", () => throw new InvalidDataException(), NullLogger.Instance));

    private static void OnAnother(Action work)
    {
        var other = new Thread(() => work());
        other.Start();
        other.Join();
    }

    /// <summary>sched_getattr(2) of the calling thread: size, policy, flags, nice, priority, runtime, deadline, period.</summary>
    private static byte[] Attributes()
    {
        byte[] attributes = new byte[SizeOfAttributes];
        Assert.Equal(0, SystemCall(RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? 275 : 315, 0, attributes, SizeOfAttributes, 0));
        return attributes;
    }

    [DllImport("libc", EntryPoint = "syscall", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint SystemCall(nint number, nint thread, [Out] byte[] attributes, nint size, nint flags);
}
