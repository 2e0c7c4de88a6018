using System.Runtime.InteropServices;
using Kcore.Daemon.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Hosting;

public class UrgentThreadTests
{
    private const int SizeOfAttributes = 48;
    private const int FlagsAt = 8;
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

        Assert.Contains(BitConverter.ToUInt64(own, RuntimeAt), new[] { UrgentThread.TurnNanoseconds, Unknown });
        Assert.Equal(1UL, BitConverter.ToUInt64(own, FlagsAt) & 1);
        Assert.NotEqual(UrgentThread.TurnNanoseconds, BitConverter.ToUInt64(started, RuntimeAt));
    }

    [Fact]
    public async Task What_the_work_throws_comes_out_of_the_task() =>
        await Assert.ThrowsAsync<InvalidDataException>(() => UrgentThread.RunAsync("test", () => throw new InvalidDataException(), NullLogger.Instance));

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
