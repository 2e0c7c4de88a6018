using System.Collections.Immutable;
using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Dataplane.Apply;

/// <summary>
/// nftables through the nft program, one process per question: the library behind it can crash its caller on
/// malformed input.
/// </summary>
internal sealed class NftProcess(HomeNamespace home, TimeProvider time) : INftables
{
    /// <summary>Characters of an answer; a listing beyond is not read on.</summary>
    private const int AnswerMax = 32 * 1024 * 1024;

    /// <summary>Children remembered, for the notifications of what they did come after their end.</summary>
    private const int OwnKept = 32;

    // Replaced whole, because notifications are read on another thread.
    private ImmutableList<int> _own = [];

    /// <summary>A hanging nft (a held kernel lock) must not hang the data plane.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10);

    public async Task<NftTables?> ReadAsync(CancellationToken cancellationToken)
    {
        List<string> listings = [];
        foreach (string family in NftSkeleton.Families)
        {
            (int code, string output, string error) = await RunAsync(
                ["-j", "list", "table", family, NftSkeleton.TableName], null, cancellationToken);
            if (code == 0)
            {
                listings.Add(output);
            }
            else if (!error.Contains("No such file or directory", StringComparison.Ordinal))
            {
                throw Failed(error, code);
            }
        }

        try
        {
            return NftListing.Read(listings);
        }
        catch (System.Text.Json.JsonException e)
        {
            throw new DataplaneException($"nft printed a listing that cannot be understood: {e.Message}", e);
        }
    }

    public async Task<ForeignRuleset> ReadForeignAsync(CancellationToken cancellationToken)
    {
        (int code, string output, string error) = await RunAsync(["-j", "-t", "list", "ruleset"], null, cancellationToken);
        if (code != 0)
        {
            throw Failed(error, code);
        }

        try
        {
            return ForeignRuleset.Read(output);
        }
        catch (System.Text.Json.JsonException e)
        {
            throw new DataplaneException($"nft printed a listing that cannot be understood: {e.Message}", e);
        }
    }

    /// <summary>Whether a process is one that this started lately: what it did was our doing.</summary>
    public bool IsOwn(int processId) => Volatile.Read(ref _own).Contains(processId);

    public async Task ReplaceAsync(NftTables? tables, NftTables? before, CancellationToken cancellationToken)
    {
        (int code, _, string error) = await RunAsync(["-f", "-"], NftText.Render(tables, before?.Counts), cancellationToken);
        if (code != 0)
        {
            throw Failed(error, code);
        }
    }

    private static DataplaneException Failed(string error, int code) =>
        new($"nft failed with exit code {code}: {error.Trim().Split('\n')[0]}");

    private async Task<(int Code, string Output, string Error)> RunAsync(
        string[] arguments, string? input, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = new("nft", arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
        };
        start.Environment["LC_ALL"] = "C";
        using Process process = new() { StartInfo = start };
        try
        {
            home.Run(process.Start);
            Volatile.Write(ref _own, _own.Count < OwnKept ? _own.Add(process.Id) : _own.RemoveAt(0).Add(process.Id));
        }
        catch (Win32Exception e)
        {
            throw new DataplaneException($"the nft program could not be started: {e.Message}", e);
        }

        using CancellationTokenSource deadline = new(_patience, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            Task<string> output = ReadAsync(process.StandardOutput, either.Token);
            Task<string> error = ReadAsync(process.StandardError, either.Token);
            await WriteAsync(process, input, either.Token);
            string printed = await output;
            string complaint = await error;
            await process.WaitForExitAsync(either.Token);
            return (process.ExitCode, printed, complaint);
        }
        catch (DataplaneException)
        {
            process.Kill();
            throw;
        }
        catch (OperationCanceledException e) when (!process.HasExited)
        {
            process.Kill();
            if (cancellationToken.IsCancellationRequested)
            {
                throw;
            }

            throw new DataplaneException($"nft did not answer within {_patience.TotalSeconds:0} s", e);
        }
    }

    private static async Task<string> ReadAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        StringBuilder text = new();
        char[] buffer = new char[16 * 1024];
        while (await reader.ReadAsync(buffer, cancellationToken) is > 0 and int count)
        {
            if (text.Length + count > AnswerMax)
            {
                throw new DataplaneException($"nft printed more than {AnswerMax / 1024 / 1024} MiB");
            }

            text.Append(buffer, 0, count);
        }

        return text.ToString();
    }

    private static async Task WriteAsync(Process process, string? input, CancellationToken cancellationToken)
    {
        try
        {
            if (input is not null)
            {
                await process.StandardInput.WriteAsync(input.AsMemory(), cancellationToken);
            }

            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended without reading; its exit code and words tell why.
        }
    }
}
