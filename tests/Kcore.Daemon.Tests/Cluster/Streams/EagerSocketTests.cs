using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Cluster.Streams;

namespace Kcore.Daemon.Tests.Cluster.Streams;

/// <summary>Over loopback, with the kernel's own buffers.</summary>
public sealed class EagerSocketTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task What_the_kernel_does_not_take_at_once_follows_in_order_and_no_writer_waits()
    {
        (EagerSocket near, EagerSocket far) = await PairAsync();
        await using EagerSocket writer = near;
        await using EagerSocket reader = far;
        byte[] sent = new byte[16 * 1024 * 1024];
        new Random(1).NextBytes(sent);
        for (int i = 0; i < sent.Length; i += 100_000)
        {
            near.Write(sent.AsSpan(i, Math.Min(100_000, sent.Length - i)));
        }

        // Nobody has read yet, so this much cannot be in the kernel.
        Assert.True(near.WaitingBytes > 0);
        Task flushed = near.FlushAsync(default);
        Assert.False(flushed.IsCompleted);
        byte[] read = new byte[sent.Length];
        await far.ReadExactlyAsync(read).AsTask().WaitAsync(Patience);
        Assert.True(sent.AsSpan().SequenceEqual(read));
        await flushed.WaitAsync(Patience);
        Assert.Equal(0, near.WaitingBytes);
    }

    [Fact]
    public async Task A_thread_that_waits_gets_what_comes_and_then_the_end()
    {
        (EagerSocket near, EagerSocket far) = await PairAsync();
        await using EagerSocket reader = far;
        Task<byte[]> reading = OnThread(() =>
        {
            var all = new List<byte>();
            var buffer = new byte[64];
            for (int read = far.Read(buffer); read > 0; read = far.Read(buffer))
            {
                all.AddRange(buffer.AsSpan(0, read));
            }

            return all.ToArray();
        });
        near.Write("one"u8);
        await Task.Delay(50);
        near.Write(" two"u8);
        await near.DisposeAsync();
        Assert.Equal("one two"u8.ToArray(), await reading.WaitAsync(Patience));
    }

    [Fact]
    public async Task A_thread_that_waits_ends_when_the_stream_is_aborted_or_nothing_comes_in_time()
    {
        (EagerSocket near, EagerSocket far) = await PairAsync();
        await using EagerSocket writer = near;
        await using EagerSocket reader = far;
        far.ReadTimeout = 50;
        await Assert.ThrowsAsync<IOException>(() => OnThread(() => far.Read(new byte[1])).WaitAsync(Patience));
        far.ReadTimeout = Timeout.Infinite;
        Task<int> reading = OnThread(() => far.Read(new byte[1]));
        await Task.Delay(50);
        Assert.False(reading.IsCompleted);
        far.Abort();
        Assert.Equal(0, await reading.WaitAsync(Patience));
    }

    [Fact]
    public async Task A_broken_connection_is_told_to_who_writes()
    {
        (EagerSocket near, EagerSocket far) = await PairAsync();
        await using EagerSocket writer = near;
        await far.DisposeAsync();
        await Assert.ThrowsAsync<IOException>(async () =>
        {
            for (int i = 0; i < 1000; i++)
            {
                near.Write(new byte[1000]);
                await Task.Delay(1);
            }
        });
    }

    private static Task<T> OnThread<T>(Func<T> work) => Task.Factory.StartNew(work, TaskCreationOptions.LongRunning);

    private static async Task<(EagerSocket Near, EagerSocket Far)> PairAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await near.ConnectAsync(listener.LocalEndPoint!);
        return (new EagerSocket(near), new EagerSocket(await listener.AcceptAsync()));
    }
}
